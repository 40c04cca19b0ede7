"""Bells: rung for those who wait, so that they look at the rows before it is time to."""

import asyncio


async def heard(bell: asyncio.Event, seconds: float) -> None:
    """Wait until it rings, at most for so long."""
    try:
        async with asyncio.timeout(seconds):
            await bell.wait()
    except TimeoutError:
        return
