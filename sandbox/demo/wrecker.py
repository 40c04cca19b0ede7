"""Does to the house what is planned, and counts it; and stands for the supervisor that starts again what was killed."""

import asyncio
import signal
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sandbox.demo.ground import Ground
from sandbox.demo.house import READY, House, Say
from sandbox.demo.plan import AWAY_SECONDS, FOUND_SECONDS, OURS_ONLY, STOPPED_SECONDS, Deed, Planned
from sandbox.demo.programs import Program
from sandbox.server import Server


class Wrecker:
    """Lives in the event loop: programs die with the thread that started them, so it must be the main one."""

    def __init__(self, house: House, ground: Ground, planned: list[Planned], say: Say) -> None:
        self.done: Counter[Deed] = Counter()
        self._house = house
        self._ground = ground
        self._planned = planned
        self._say = say
        self._began = 0.0
        self._stopped: Program | None = None
        #: One server is away at a time.
        self._servers = asyncio.Lock()
        #: Of its own, since buyers fill the loop's while a server is away.
        self._threads = ThreadPoolExecutor(max_workers=1)
        self._do = {
            Deed.KILL_WORKER: self._kill_worker,
            Deed.STOP_WORKER: self._stop_worker,
            Deed.KILL_RELAY: self._kill_relay,
            Deed.LOSE_REDIS: self._lose_redis,
            Deed.CRASH_POSTGRES: self._crash_postgres,
        }

    @property
    def loses_servers(self) -> bool:
        """Whether a shop must expect its documents not to be taken at times, or to be lost with the broker."""
        return any(planned.deed in OURS_ONLY for planned in self._planned)

    async def wreck(self) -> None:
        """Do everything at its time, from now on; return once the last is done."""
        self._began = asyncio.get_running_loop().time()
        with self._threads:
            await asyncio.gather(*map(self._at_its_time, self._planned))

    async def _at_its_time(self, planned: Planned) -> None:
        await asyncio.sleep(planned.at_seconds)
        await self._do[planned.deed](planned.choice)

    async def _kill_worker(self, choice: float) -> None:
        """Kill one that takes messages; while none does, nobody: one that holds nothing is no loss."""
        if worker := self._choose(choice):
            self._kill(worker)
            self._note(Deed.KILL_WORKER, f"{worker.name} killed")

    async def _stop_worker(self, choice: float) -> None:
        async with self._servers:  # while one is away, a worker has nothing to say that could come too late
            worker = self._stopped = self._choose(choice) or self._house.workers[0]
            worker.send(signal.SIGSTOP)
        self._tell(f"{worker.name} stopped")
        await asyncio.sleep(STOPPED_SECONDS)
        worker.send(signal.SIGCONT)
        self._stopped = None
        self._note(Deed.STOP_WORKER, f"{worker.name} continued")

    async def _kill_relay(self, _: float) -> None:
        self._kill(self._house.relay)
        self._note(Deed.KILL_RELAY, "relay killed")

    async def _lose_redis(self, _: float) -> None:
        if ours := self._ground.ours:
            await self._crash(Deed.LOSE_REDIS, ours.redis, ours.redis.wipe)

    async def _crash_postgres(self, _: float) -> None:
        if ours := self._ground.ours:
            await self._crash(Deed.CRASH_POSTGRES, ours.postgres, ours.postgres.kill)

    async def _crash(self, deed: Deed, server: Server, end: Callable[[], None]) -> None:
        """In a thread, since recovery takes its time. Ctrl-C waits for it, so that no server is left over."""
        loop = asyncio.get_running_loop()
        async with self._servers:
            with self._ground.expecting_the_end_of(server):
                await loop.run_in_executor(self._threads, end)
                self._tell(f"{server.name} killed")
                await asyncio.sleep(AWAY_SECONDS)
                await loop.run_in_executor(self._threads, server.start)
            self._note(deed, f"{server.name} is back")
            await asyncio.sleep(FOUND_SECONDS)

    def _choose(self, choice: float) -> Program | None:
        """Choose one of the workers that take messages."""
        awake = [worker for worker in self._house.workers if worker is not self._stopped and READY in worker.said]
        return awake[int(choice * len(awake))] if awake else None

    def _kill(self, program: Program) -> None:
        program.kill()
        program.start()

    def _note(self, deed: Deed, words: str) -> None:
        self.done[deed] += 1
        self._tell(words)

    def _tell(self, words: str) -> None:
        self._say(f"{asyncio.get_running_loop().time() - self._began:6.1f} s  {words}")
