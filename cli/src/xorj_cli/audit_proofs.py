"""`xorj audit prove`, `consistency`, `evidence`: what a third party can check without this database."""

import base64
from pathlib import Path
from typing import Any

from xorj_auditor.checkpoints import stored_checkpoint
from xorj_auditor.evidence_source import NoEvidence, collect_evidence
from xorj_auditor.rows import SELECT, BadRow, entry_of
from xorj_auditor.tree import TreeDamaged, TreeReader
from xorj_auditor.verify_range import signed_by_log
from xorj_core.audit_chain import leaf_data, leaf_of
from xorj_core.checkpoint import CheckpointRefused, SignedCheckpoint, parse_checkpoint
from xorj_core.evidence import write_evidence
from xorj_core.merkle import ProofRefused, check_consistency, check_inclusion

from xorj_cli.audit_place import AuditPlace, reading
from xorj_cli.output import Exit, Failure, stdout

TLOG_PROOF = "c2sp.org/tlog-proof@v1"


async def prove(place: AuditPlace, entry: int) -> tuple[dict[str, Any], Exit]:
    """The inclusion proof of one entry under the latest checkpoint; exit 1 when the entry does not lead to it."""
    async with reading(place) as connection:
        signed = await _latest(connection, place)
        size = signed.checkpoint.size
        row = await connection.fetchrow(f"{SELECT} WHERE entry_index = $1", entry)
        if row is None or entry >= size:
            what = "is not in the log" if row is None else f"is not under a checkpoint yet ({size} entries are)"
            raise Failure("no_entry", f"entry {entry} {what}", "`xorj audit tail` shows the latest entries", Exit.USAGE)
        try:
            found = entry_of(row)
            proof = await TreeReader(connection).inclusion(entry, size)
            check_inclusion(entry, size, leaf_of(found), proof, signed.checkpoint.root)
        except (BadRow, ProofRefused, TreeDamaged) as error:
            return {"entry": entry, "proven": False, "reason": str(error)}, Exit.CHECK_FAILED
    note = signed.note().decode()
    lines = [TLOG_PROOF, f"index {entry}", *(_b64(part) for part in proof)]
    return {
        "entry": entry,
        "proven": True,
        "leaf_data": _b64(leaf_data(found)),
        "leaf": found.leaf.hex(),
        "proof": [_b64(part) for part in proof],
        "checkpoint": note,
        "log_key": str(signed_by_log(signed, place.log_keys)),
        "tlog_proof": "\n".join(lines) + "\n\n" + note,
    }, Exit.OK


async def consistency(place: AuditPlace, old: str, new: str) -> tuple[dict[str, Any], Exit]:
    """The proof that the log of `new` continues that of `old`; each a size or a file with a signed checkpoint.

    Exit 1 when it does not.
    """
    async with reading(place) as connection:
        tree = TreeReader(connection)
        try:
            sizes_and_roots = [await _stated(place, tree, text) for text in (old, new)]
            (old_size, old_root), (new_size, new_root) = sizes_and_roots
            if old_size > new_size:
                text = f"OLD has {old_size} entries, NEW only {new_size}"
                raise Failure("usage", text, "name the smaller one first", Exit.USAGE)
            proof = await tree.consistency(old_size, new_size)
            check_consistency(old_size, new_size, old_root, new_root, proof)
        except (ProofRefused, TreeDamaged) as error:
            return {"consistent": False, "reason": str(error)}, Exit.CHECK_FAILED
    return {
        "consistent": True,
        "old": {"size": old_size, "root": _b64(old_root)},
        "new": {"size": new_size, "root": _b64(new_root)},
        "proof": [_b64(part) for part in proof],
    }, Exit.OK


async def evidence(place: AuditPlace, trade: str, target: Path) -> tuple[dict[str, Any], Exit]:
    """Writes the evidence file of a trade."""
    try:
        trade_id = bytes.fromhex(trade)
    except ValueError:
        trade_id = b""
    if len(trade_id) != 32:
        hint = "64 hexadecimal digits, as `xorj demo --json` and the logs show it"
        raise Failure("usage", f"{trade[:80]!r} is no trade id", hint, Exit.USAGE)
    async with reading(place) as connection:
        try:
            found = await collect_evidence(connection, trade_id, place.log_keys, place.witness_keys)
        except NoEvidence as nothing:
            raise Failure("no_evidence", str(nothing), "`xorj audit tail` shows the latest entries") from nothing
        except (BadRow, TreeDamaged, CheckpointRefused, ProofRefused) as error:
            return {"trade_id": trade, "written": None, "reason": str(error)}, Exit.CHECK_FAILED
    try:
        target.write_text(write_evidence(found), encoding="utf-8")  # noqa: ASYNC240 - nothing else runs here
    except OSError as error:
        raise Failure("not_written", str(error), "choose another file", Exit.USAGE) from error
    size = parse_checkpoint(found.checkpoint.encode()).checkpoint.size
    body = {"trade_id": trade, "written": str(target), "records": len(found.records), "checkpoint_entries": size}
    return {**body, "log_key": found.log_key}, Exit.OK


def show_proof(body: dict[str, Any]) -> None:
    """The proof as a text that other tools read, or why there is none."""
    if body["proven"]:
        stdout.print(body["tlog_proof"], markup=False, end="")
    else:
        stdout.print(f"[red]not proven[/]: entry {body['entry']}: {body['reason']}")


def show_consistency(body: dict[str, Any]) -> None:
    """The result for a person."""
    if body["consistent"]:
        sizes = f"{body['new']['size']} entries continue {body['old']['size']}"
        stdout.print(f"[green]consistent[/]: {sizes}, proven by {len(body['proof'])} hashes")
    else:
        stdout.print(f"[red]inconsistent[/]: {body['reason']}")


def show_evidence(body: dict[str, Any]) -> None:
    """Where the file is and what to do with it."""
    if body["written"] is None:
        stdout.print(f"[red]no evidence[/]: {body['reason']}")
        return
    stdout.print(f"{body['records']} records in {body['written']}; the log's key is {body['log_key']}")
    stdout.print(f"check it anywhere: xorj-verify-evidence --auditor-key KEY {body['written']}", markup=False)


async def _latest(connection: Any, place: AuditPlace) -> SignedCheckpoint:
    try:
        signed = await stored_checkpoint(connection)
        if signed is not None:
            signed_by_log(signed, place.log_keys)
    except CheckpointRefused as error:
        hint = "`xorj audit verify` says more"
        raise Failure("bad_checkpoint", f"the latest checkpoint: {error}", hint, Exit.CHECK_FAILED) from error
    if signed is None:
        raise Failure("no_checkpoint", "the log has no checkpoint yet", "wait a second and ask again")
    return signed


async def _stated(place: AuditPlace, tree: TreeReader, text: str) -> tuple[int, bytes]:
    if text.isdigit() and len(text) < 19:
        total = await tree.connection.fetchval("SELECT coalesce(max(entry_index) + 1, 0) FROM audit_entries")
        if int(text) > total:
            raise Failure("usage", f"the log has {total} entries", "name at most as many", Exit.USAGE)
        return int(text), await tree.root(int(text))
    try:
        signed = parse_checkpoint(Path(text).read_bytes())  # noqa: ASYNC240 - nothing else runs here
        signed_by_log(signed, place.log_keys)
    except (OSError, CheckpointRefused) as error:
        hint = "a number of entries, or a file with a signed checkpoint of this log"
        raise Failure("usage", f"{text}: {error}", hint, Exit.USAGE) from error
    return signed.checkpoint.size, signed.checkpoint.root


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
