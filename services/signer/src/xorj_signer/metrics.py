"""What the signer counts, for Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

SIGNED = Counter("xorj_signer_signed_total", "Signatures that were given out, stored ones included.")
REFUSED = Counter("xorj_signer_refused_total", "Refused requests.", ("reason",))
KEY_FIT = Gauge("xorj_signer_key_fit", "1 while the provider says that the key is the expected one and usable.")
KEY_FAULTS = Counter("xorj_signer_key_faults_total", "Checks of the key that failed.", ("fault",))
SECONDS = Histogram(
    "xorj_signer_request_seconds",
    "Time to answer a SignTrade request.",
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0),
)
