"""Client of the vault program: addresses, instructions, account and event parsing, errors. Checked against its IDL."""

from xorj_solana.vault.accounts import (
    BotAuthority,
    BotAuthorityState,
    Config,
    LastTrade,
    Vault,
    parse_config,
    parse_vault,
)
from xorj_solana.vault.addresses import config_address, trade_authority_address, vault_address
from xorj_solana.vault.errors import ERRORS, ProgramFailure, VaultError, find_failure
from xorj_solana.vault.events import TradeExecuted, find_trade_executed, parse_event
from xorj_solana.vault.hashing import accounts_hash, accounts_hash_of_message, message_accounts
from xorj_solana.vault.instructions import (
    MAX_SWAP_ACCOUNTS,
    MintPlaces,
    TradeOrder,
    bot_trade,
    deposit,
    disable_bot,
    enable_bot,
    initialize,
    open_mint,
    open_vault,
    set_paused,
    with_accounts_hash,
    withdraw,
)

__all__ = [
    "ERRORS",
    "MAX_SWAP_ACCOUNTS",
    "BotAuthority",
    "BotAuthorityState",
    "Config",
    "LastTrade",
    "MintPlaces",
    "ProgramFailure",
    "TradeExecuted",
    "TradeOrder",
    "Vault",
    "VaultError",
    "accounts_hash",
    "accounts_hash_of_message",
    "bot_trade",
    "config_address",
    "deposit",
    "disable_bot",
    "enable_bot",
    "find_failure",
    "find_trade_executed",
    "initialize",
    "message_accounts",
    "open_mint",
    "open_vault",
    "parse_config",
    "parse_event",
    "parse_vault",
    "set_paused",
    "trade_authority_address",
    "vault_address",
    "with_accounts_hash",
    "withdraw",
]
