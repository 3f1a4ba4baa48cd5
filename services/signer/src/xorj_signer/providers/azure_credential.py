"""Who the signer is towards Azure: one credential, named by the settings; the SDK's own search for one is not used.

1. What the named credential needs must be set; what is missing is named.
"""

from typing import Any, TypeVar, assert_never
from urllib.parse import urlsplit

from azure.core.credentials import TokenCredential
from azure.identity import ClientSecretCredential, ManagedIdentityCredential, WorkloadIdentityCredential

from xorj_signer.providers import CALL_S_MAX, CONNECT_S_MAX, ProviderFailed, ProviderFault
from xorj_signer.providers.settings import LOOPBACK, AzureKeyVaultSettings, read_secret

T = TypeVar("T")


def azure_credential(settings: AzureKeyVaultSettings) -> TokenCredential:
    """The credential that the settings name. Raises `ProviderFailed`."""
    kind = settings.signer_azure_credential
    limits: dict[str, Any] = {
        "retry_total": 0,
        "connection_timeout": CONNECT_S_MAX,
        "read_timeout": CALL_S_MAX - CONNECT_S_MAX,
    }
    match kind:
        case "client-secret":
            verify = settings.signer_azure_ca_file
            return ClientSecretCredential(
                _needed("TENANT_ID", settings.signer_azure_tenant_id, kind),
                _needed("CLIENT_ID", settings.signer_azure_client_id, kind),
                read_secret(_needed("CLIENT_SECRET_FILE", settings.signer_azure_client_secret_file, kind)),
                authority=settings.signer_azure_authority,
                connection_verify=True if verify is None else str(verify),
                # An authority of this machine is not in Microsoft's list of authorities.
                disable_instance_discovery=urlsplit(settings.signer_azure_authority).hostname in LOOPBACK,
                **limits,
            )
        case "workload-identity":
            return WorkloadIdentityCredential(
                tenant_id=_needed("TENANT_ID", settings.signer_azure_tenant_id, kind),
                client_id=_needed("CLIENT_ID", settings.signer_azure_client_id, kind),
                token_file_path=str(_needed("TOKEN_FILE", settings.signer_azure_token_file, kind)),
                authority=settings.signer_azure_authority,
                **limits,
            )
        case "managed-identity":
            return ManagedIdentityCredential(client_id=settings.signer_azure_client_id, **limits)
        case _:
            assert_never(kind)


def _needed(name: str, value: T | None, kind: str) -> T:
    if value is None:
        told = f"XORJ_SIGNER_AZURE_{name} is not set, and the credential {kind} needs it"
        raise ProviderFailed(told, ProviderFault.MISCONFIGURED)
    return value
