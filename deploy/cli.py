"""The `tidegate` command: one file per subcommand, loaded when it is used, so that help is quick."""

import importlib
from typing import Final

import click

COMMANDS: Final = {
    "up": "Start the local stack.",
    "down": "End exactly what `up` started.",
    "status": "Show what runs.",
    "topics": "Create the topics of a deployment.",
    "plan": "Say what a deployment needs, from measured figures.",
    "doctor": "Check versions, jars, settings, topics and what runs.",
    "settings": "Show, explain and check the settings of a process.",
    "kafka-rights": "Show and set who may do what on Kafka.",
    "demo": "Run a flash crash through the whole loop and check it.",
    "replay": "Replay recorded data into the running stack.",
    "simulate": "Simulate a scenario into the running stack.",
    "train": "Train a model.",
    "model": "Export a model's network for Triton, and serve it.",
    "stress-suite": "Write the simulated crises and hard negatives.",
    "stress-benchmark": "Put detectors side by side on simulated crises.",
    "backtest": "Put detectors side by side on recorded days, walking forward.",
    "results": "Rewrite README's table of the evaluation from kept results.",
    "features": "Ask which features say anything about what comes.",
    "query": "Ask the history in SQL.",
    "history": "Migrate, rebuild or serve the history.",
    "analyst-plots": "Draw what analysts look at first.",
    "watch": "Follow the tiers live.",
    "quality": "Judge the newest rows of every table.",
    "api": "Serve REST, events and the console.",
    "token": "Make a token for somebody.",
    "console-pictures": "Take pictures of the console for the documents.",
    "drill": "Upgrade, rescale, kill or overload a deployment of its own, and compare.",
    "verify": "Prove a property of the running system.",
    "replay-decision": "Rebuild one decision from history and compare it.",
    "compliance": "Run the tests behind each requirement of regulators.",
}


class LazyGroup(click.Group):
    """Finds a subcommand in ``deploy.commands.<name>.command``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of use."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one subcommand."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = importlib.import_module(f"deploy.commands.{cmd_name.replace('-', '_')}").command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup)
def main() -> None:
    """Watch order books; tighten every order's limits as a market turns fragile."""


if __name__ == "__main__":
    main()
