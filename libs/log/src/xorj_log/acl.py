"""Owns how access rules reach the broker: the one place that uses a private call of the Kafka client.

The client has request classes for access rules but no public call that sends them to the controller, so this module
sends them through the admin client's private method. The client's version is pinned exactly for that reason.

1. Only permissions are made, for literal names and every host; what nothing permits, the broker refuses.
2. Creating a rule that exists changes nothing.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest_v1, DescribeAclsRequest
from aiokafka.protocol.api import Request


class ResourceKind(IntEnum):
    """Numbers of the Kafka protocol."""

    TOPIC = 2
    GROUP = 3
    CLUSTER = 4


class Pattern(IntEnum):
    """Whether a rule's name is a whole name or a beginning. Numbers of the Kafka protocol."""

    LITERAL = 3
    PREFIXED = 4


class Operation(IntEnum):
    """Numbers of the Kafka protocol."""

    READ = 3
    WRITE = 4
    CREATE = 5
    DELETE = 6
    DESCRIBE = 8
    DESCRIBE_CONFIGS = 10
    IDEMPOTENT_WRITE = 12


_PERMISSION_ALLOW = 3
IN_FORCE_S_MAX = 10.0


class AclRefused(Exception):
    """The broker did not accept an access rule."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One permission: `principal` may do `operation` on the resource called `name`."""

    principal: str
    kind: ResourceKind
    name: str
    operation: Operation
    pattern: Pattern = Pattern.LITERAL


class _CreateAcls(Request[CreateAclsRequest_v1]):  # type: ignore[misc]
    """All rules in one request; the client's own class carries one rule at a time."""

    API_KEY = CreateAclsRequest_v1.API_KEY

    def __init__(self, grants: Sequence[Grant]) -> None:
        self._grants = grants

    def build(self, request_struct_class: type[CreateAclsRequest_v1]) -> CreateAclsRequest_v1:
        rows = [
            (grant.kind, grant.name, grant.pattern, f"User:{grant.principal}", "*", grant.operation, _PERMISSION_ALLOW)
            for grant in self._grants
        ]
        return request_struct_class(rows)


def writer_grants(principal: str, topics: Iterable[str]) -> list[Grant]:
    """What a producer needs on its topics."""
    return [
        Grant(principal, ResourceKind.TOPIC, topic, operation)
        for topic in topics
        for operation in (Operation.WRITE, Operation.DESCRIBE)
    ]


def reader_grants(principal: str, topics: Iterable[str]) -> list[Grant]:
    """What a consumer needs on its topics, with or without a group."""
    return [
        Grant(principal, ResourceKind.TOPIC, topic, operation)
        for topic in topics
        for operation in (Operation.READ, Operation.DESCRIBE)
    ]


def group_grants(groups: Mapping[str, Iterable[str]]) -> list[Grant]:
    """What each principal needs on its consumer groups."""
    return [
        Grant(principal, ResourceKind.GROUP, group, Operation.READ)
        for principal, names in groups.items()
        for group in names
    ]


async def create_acls(admin: AIOKafkaAdminClient, grants: Sequence[Grant]) -> None:
    """Makes the rules, all in one request. Raises AclRefused with every rule that was not accepted."""
    distinct = list(dict.fromkeys(grants))
    response: Any = await admin._send_to_controller(_CreateAcls(distinct))
    refused = [
        f"{grant.principal} {grant.operation.name} {grant.kind.name} {grant.name}: {message or code}"
        for grant, (code, message) in zip(distinct, response.creation_responses, strict=True)
        if code != 0
    ]
    if refused:
        raise AclRefused("; ".join(refused))
    await _until_in_force(admin, set(distinct))


async def _until_in_force(admin: AIOKafkaAdminClient, wanted: set[Grant]) -> None:
    """The controller answers before the broker's own authorizer knows the rules: waits until it lists them all."""
    deadline = time.monotonic() + IN_FORCE_S_MAX
    while missing := wanted - await list_acls(admin):
        if time.monotonic() > deadline:
            raise AclRefused(f"{len(missing)} rules are not in force after {IN_FORCE_S_MAX} s")
        await asyncio.sleep(0.02)


async def list_acls(admin: AIOKafkaAdminClient) -> set[Grant]:
    """The permissions that the broker has in force for topics and groups."""
    any_kind, any_pattern, any_operation, any_permission = 1, 1, 1, 1
    request = DescribeAclsRequest(any_kind, None, any_pattern, None, None, any_operation, any_permission)
    response: Any = await admin._send_request(request)
    return {
        Grant(principal.removeprefix("User:"), ResourceKind(kind), name, Operation(operation), Pattern(pattern))
        for kind, name, pattern, rules in response.resources
        for principal, _, operation, permission in rules
        if permission == _PERMISSION_ALLOW
    }
