"""`python -m worker`: migrations, the relay, and the commands of the people on duty."""

from worker.duty.commands import cli

cli(prog_name="python -m worker")
