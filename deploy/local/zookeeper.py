"""ZooKeeper on this machine: the server that lies, relocated, in Flink's own distribution; nothing else is installed for it.

Invariant: its data is the Flink cluster's alone (leader, running jobs, last checkpoints), so it starts and ends with it. *Not
taken:* an embedded one in a JVM of Flink's, which would die with the JobManager that it must outlive.
"""

from pathlib import Path
from typing import Final

from deploy.local.processes import FAST_START, ProcessBook, Started

HEAP: Final = "64m"
TICK_MS: Final = 500
SESSION_MS_MAX: Final = 4_000
"""A dead leader's claim ends by then; ZooKeeper's own bound is 20 of its ticks."""


def start_zookeeper(book: ProcessBook, folder: Path, *, library: Path, port: int) -> Started:
    """Start the server with its data in ``folder``; ``library`` is the folder with Flink's jars."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    config = folder / "zoo.cfg"
    settings = {
        "tickTime": TICK_MS,
        "minSessionTimeout": 2 * TICK_MS,
        "maxSessionTimeout": SESSION_MS_MAX,
        "dataDir": folder / "data",
        "clientPort": port,
        "clientPortAddress": "127.0.0.1",
        "admin.enableServer": "false",
        "maxClientCnxns": 0,
    }
    config.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    java = [
        "java",
        f"-Xms{HEAP}",
        f"-Xmx{HEAP}",
        "-XX:+UseSerialGC",
        FAST_START,
        "-Dzookeeper.admin.enableServer=false",
    ]
    main = "org.apache.flink.runtime.zookeeper.FlinkZooKeeperQuorumPeer"
    return book.start(
        "zookeeper", [*java, "-cp", f"{library}/*", main, "--zkConfigFile", str(config), "--peerId", "1"], cwd=folder
    )
