"""Owns the real Kafka broker of a local world: one KRaft node, mutual TLS, access rules on.

`python -m xorj_localnet.broker` runs one alone, with its certificates, topics and rules, until Ctrl-C.

1. Nobody is let in without a certificate of this world, and what no rule permits is refused, locally too.
2. Broker and controller listen on 127.0.0.1 only.
3. Each world has its own cluster id; the data directory is never copied from another broker.
"""

import asyncio
import base64
import shutil
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

from xorj_localnet.certificates import Identity, issue_certificates
from xorj_localnet.files import write_atomically
from xorj_localnet.jars import missing_jars, read_jar_list
from xorj_localnet.java import JavaRuntime, find_java
from xorj_localnet.paths import KAFKA_JAR_LIST, Home
from xorj_localnet.ports import accepts, choose_port, port_setting
from xorj_localnet.process import ProcessSpec
from xorj_localnet.stopping import until_told_to_stop
from xorj_localnet.supervisor import ChildFailed, Supervisor

START_ATTEMPTS = 4
PORT_SETTING = "XORJ_BROKER_PORT"
FORMAT_S_MAX = 60.0
READY_S_MAX = 60.0

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=CLIENT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=CLIENT://127.0.0.1:{port}
listener.security.protocol.map=CLIENT:SSL,CONTROLLER:SSL
inter.broker.listener.name=CLIENT
controller.listener.names=CONTROLLER
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={truststore}
ssl.client.auth=required
ssl.enabled.protocols=TLSv1.3
ssl.principal.mapping.rules=RULE:^CN=([^,]+)(,.*)?$/$1/,DEFAULT
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:broker;User:admin
allow.everyone.if.no.acl.found=false
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
min.insync.replicas=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
log.cleaner.dedupe.buffer.size=4194304
log.segment.bytes=16777216
num.network.threads=2
num.io.threads=4
num.recovery.threads.per.data.dir=1
background.threads=2
controlled.shutdown.enable=false
"""


class BrokerFailed(Exception):
    """The broker could not be prepared or started."""


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker that serves: where, and as which cluster."""

    address: str
    cluster_id: str


def java_command(runtime: JavaRuntime, jars: Path, archive: Path | None) -> tuple[str, ...]:
    """The start of every Java command line; the archive, if there is one, shortens the start."""
    class_path = ":".join(str(path) for path in sorted(jars.glob("*.jar")))
    shared = (f"-XX:SharedArchiveFile={archive}", "-Xshare:auto") if archive is not None else ()
    quiet = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Xlog:disable", "-Xlog:all=error:stderr")
    heap = ("-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
    return (str(runtime.program), *heap, *shared, *quiet, "-cp", class_path)


def archive_for(home: Home, runtime: JavaRuntime) -> Path:
    """Where set-up keeps the class archive for this runtime."""
    return home.broker_start / f"classes-{runtime.version}.jsa"


def snapshot_for(home: Home) -> Path:
    """Where set-up keeps the boot snapshot, which holds the feature levels and nothing of one cluster."""
    return home.broker_start / "bootstrap.checkpoint"


def _new_uuid() -> str:
    """A Kafka id: 128 random bits in URL-safe Base64 that do not begin with a dash."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text


class BrokerFiles:
    """The directory of one broker and the commands that run on it."""

    def __init__(self, home: Home, directory: Path, identity: Identity) -> None:
        self._home = home
        self.directory = directory
        self.data = directory / "data"
        self.properties = directory / "server.properties"
        self._identity = identity
        missing = missing_jars(read_jar_list(KAFKA_JAR_LIST), home.jars)
        if missing:
            raise BrokerFailed(f"{len(missing)} Kafka jars are missing in {home.jars}: run `make setup`")
        self.runtime = find_java()
        archive = archive_for(home, self.runtime)
        self.java = java_command(self.runtime, home.jars, archive if archive.exists() else None)

    def write_properties(self, port: int, controller_port: int) -> None:
        """Writes the broker's settings for these ports."""
        text = _PROPERTIES.format(
            port=port,
            controller_port=controller_port,
            keystore=self._identity.keystore_file,
            truststore=self._identity.ca_file,
            data=self.data,
        )
        write_atomically(self.properties, text.encode())

    def format(self) -> None:
        """Prepares an empty data directory with a new cluster id, unless there is one already. Raises BrokerFailed."""
        if (self.data / "meta.properties").exists():
            return
        snapshot = snapshot_for(self._home)
        if snapshot.exists():
            self.data.mkdir(parents=True)
            shutil.copyfile(snapshot, self.data / "bootstrap.checkpoint")
            meta = f"cluster.id={_new_uuid()}\ndirectory.id={_new_uuid()}\nnode.id=1\nversion=1\n"
            write_atomically(self.data / "meta.properties", meta.encode())
            return
        tool = ("kafka.tools.StorageTool", "format", "-t", _new_uuid(), "-c", str(self.properties))
        try:
            done = subprocess.run(
                (*self.java, *tool), capture_output=True, text=True, timeout=FORMAT_S_MAX, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise BrokerFailed(f"formatting {self.data} took more than {FORMAT_S_MAX:g} s") from error
        if done.returncode != 0:
            raise BrokerFailed(f"formatting {self.data} failed:\n{done.stdout}{done.stderr}")

    def cluster_id(self) -> str:
        """The cluster id of the formatted data directory."""
        for line in (self.data / "meta.properties").read_text().splitlines():
            if line.startswith("cluster.id="):
                return line.removeprefix("cluster.id=")
        raise BrokerFailed(f"no cluster.id in {self.data / 'meta.properties'}")

    def spec(self, port: int, *, options: tuple[str, ...] = ()) -> ProcessSpec:
        """The broker as a process that is ready when it listens, which it does only when it serves."""

        async def listens() -> bool:
            return await asyncio.to_thread(accepts, port)

        program, *arguments = self.java
        argv = (program, *options, *arguments, "kafka.Kafka", str(self.properties))
        return ProcessSpec("broker", argv, ready=listens, ready_s_max=READY_S_MAX, stop_s_max=10.0, cwd=self.directory)


async def start_broker(supervisor: Supervisor, home: Home, identity: Identity, *, port: int = 0) -> Broker:
    """Starts a broker under the supervisor; port 0 takes a free one. Raises ChildFailed, BrokerFailed, NoFreePort."""
    files = BrokerFiles(home, supervisor.directory / "broker", identity)
    for attempt in range(1, START_ATTEMPTS + 1):
        client_port = choose_port(port, setting=PORT_SETTING)
        files.write_properties(client_port, choose_port())
        await asyncio.to_thread(files.format)
        try:
            await supervisor.start(files.spec(client_port))
        except ChildFailed as failure:
            taken = "BindException" in failure.log or "already in use" in failure.log
            if not taken or attempt == START_ATTEMPTS:
                raise
            continue
        return Broker(f"127.0.0.1:{client_port}", files.cluster_id())
    raise BrokerFailed("no free port could be kept for the broker")


async def _alone() -> int:
    from xorj_localnet.topics import create_topics

    home = Home.from_environment()
    supervisor = Supervisor(home.world)
    supervisor.open()
    try:
        certificates = issue_certificates(home.world / "certificates")
        broker = await start_broker(supervisor, home, certificates.of("broker"), port=port_setting(PORT_SETTING))
        await create_topics(broker.address, certificates.of("admin"))
        sys.stdout.write(f"broker at {broker.address}, cluster {broker.cluster_id}; Ctrl-C stops it\n")
        sys.stdout.flush()
        await until_told_to_stop()
    finally:
        await supervisor.stop()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_alone()))
