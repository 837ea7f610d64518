"""Every wait in actors/ and cluster/ has a deadline: rules on the source, and the helpers.

Rules, by call or loop:

- `ray.get` and `ray.wait`: with `timeout=`.
- `x.remote(...)` of an actor, where it is awaited or iterated with `async for`: inside the
  arguments of a deadline helper (`DEADLINE_HELPERS`). A reference may be stored, and waited for by
  one of these later; references in actors/ that are stored are awaited through the helpers too, as
  `await name` of a plain variable is allowed only there and in `PLAIN_AWAITS`.
- `subprocess.run`, `check_call`, `check_output`, `call`: with `timeout=`.
- `.wait()`, `.communicate()`, `.join()`, `.result()` and `.acquire()` without arguments (processes,
  events, threads, futures): not at all, except inside a deadline helper or below
  `asyncio.timeout`, or on a future that is done (`DONE_FUTURES`).
- `asyncio.wait`: with `timeout=`. `asyncio.wait_for`: not at all, the helpers name what hangs.
- gRPC: a call on a `stub`: with `timeout=`. A stream (`UplinkServiceStub.Stream`) lives as long as
  its heartbeats arrive; each `.write(...)` on it is inside a deadline helper.
"""

import ast
import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from actors import deadlines
from actors.deadlines import DeadlineError, each_within, wait_at_most, within

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path
    for folder in ("actors", "cluster")
    for path in (ROOT / folder).rglob("*.py")
    if "wire" not in path.parts  # generated
)
DEADLINE_HELPERS = {"within", "each_within", "wait_at_most", "_await_reply", "_call", "_call_all"}
PLAIN_AWAITS = {"awaitable", "work", "loop", "task"}
DONE_FUTURES = {"result", "call"}
WAITS = {"wait", "communicate", "join", "result", "acquire"}
RUNS = {"run", "call", "check_call", "check_output"}


def faults(source: str) -> list[tuple[int, str]]:
    """Line and rule of every wait without a deadline."""
    tree = ast.parse(source)
    bounded = set(_bounded(tree))
    return sorted(
        (node.lineno, rule)
        for node in ast.walk(tree)
        if isinstance(node, ast.expr | ast.stmt) and node not in bounded
        for rule in _broken(node)
    )


def _bounded(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes in the arguments of a deadline helper, or below `asyncio.timeout`."""
    for node in ast.walk(tree):
        inside: list[ast.AST] = []
        if isinstance(node, ast.Call) and _name(node.func).split(".")[-1] in DEADLINE_HELPERS:
            inside = list(node.args)
        elif isinstance(node, ast.AsyncWith) and any(
            isinstance(item.context_expr, ast.Call)
            and _name(item.context_expr.func) == "asyncio.timeout"
            for item in node.items
        ):
            inside = list(node.body)
        for part in inside:
            yield from ast.walk(part)


def _broken(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Await):
        if _calls_actor(node.value):
            yield "await of an actor's call"
        elif isinstance(node.value, ast.Name) and node.value.id not in PLAIN_AWAITS:
            yield "await of a stored reference"
    elif isinstance(node, ast.AsyncFor) and _calls_actor(node.iter):
        yield "iteration over an actor's call"
    elif isinstance(node, ast.Call):
        yield from _broken_call(node)


def _broken_call(call: ast.Call) -> Iterator[str]:
    name = _name(call.func)
    owner, _, method = name.rpartition(".")
    timed = any(keyword.arg == "timeout" for keyword in call.keywords)
    untimed = {"ray.get", "ray.wait", "asyncio.wait"} | {f"subprocess.{run}" for run in RUNS}
    if name.removeprefix("self._") in untimed and not timed:
        yield f"{name} without timeout="
    elif name == "asyncio.wait_for":
        yield name
    elif "stub" in owner.split(".")[-1].lower() and not timed:
        yield f"gRPC call {name} without timeout="
    elif method == "write" and owner.split(".")[-1] in {"call", "_context"}:
        yield f"{name} outside a deadline helper"
    elif method in WAITS and not call.args and not call.keywords and owner not in DONE_FUTURES:
        yield f"{name} without a timeout"


def _calls_actor(node: ast.expr) -> bool:
    """Whether an actor is called in an expression, outside the arguments of a deadline helper."""
    if isinstance(node, ast.Call):
        name = _name(node.func).split(".")[-1]
        if name in DEADLINE_HELPERS:
            return False
        if name == "remote":
            return True
    return any(_calls_actor(part) for part in ast.iter_child_nodes(node) if _is_expression(part))


def _is_expression(node: ast.AST) -> bool:
    return isinstance(node, ast.expr)


def _name(node: ast.expr) -> str:
    """`a.b.c` of a chain of names; a call or index within it is left out."""
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_wait_has_a_deadline(path: Path) -> None:
    assert faults(path.read_text()) == []


@pytest.mark.parametrize(
    "code",
    [
        "ray.get(x)",
        "ray.wait([x], num_returns=1)",
        "self._ray.get(x)",
        "async def f(): await worker.status.remote()",
        "async def f(): await asyncio.gather(*[w.status.remote() for w in ws])",
        "async def f(): await reference",
        "async def f():\n async for x in worker.ask.options(num_returns='streaming').remote(): ...",
        "subprocess.run(['true'])",
        "process.wait()",
        "process.communicate()",
        "self._thread.join()",
        "future.result()",
        "self._lock.acquire()",
        "async def f(): await event.wait()",
        "async def f(): await asyncio.wait([task])",
        "async def f(): await asyncio.wait_for(task, 3)",
        "self._stub.Ask(request)",
        "async def f(): await call.write(message)",
    ],
)
def test_a_wait_without_a_deadline_is_found(code: str) -> None:
    assert len(faults(code)) == 1


@pytest.mark.parametrize(
    "code",
    [
        "ray.get(x, timeout=3)",
        "self._uplink.report.remote(stats)",
        "async def f(): await within(3, worker.status.remote(), 'the worker')",
        "async def f(): await gather(*[within(3, w.status.remote(), 'it') for w in ws])",
        "async def f():\n async with asyncio.timeout(3):\n  await event.wait()",
        "process.wait(3)",
        "self._thread.join(STOP_S)",
        "', '.join(names)",
        "self._stub.Ask(request, timeout=3)",
    ],
)
def test_a_wait_with_a_deadline_is_allowed(code: str) -> None:
    assert faults(code) == []


def test_inner_deadlines_are_shorter_than_those_around_them() -> None:
    worker_push = deadlines.MAX_RATE_DELAY_S + deadlines.DECODE_S + deadlines.ENGINE_JOB_S
    assert worker_push < deadlines.WORKER_JOB_S < deadlines.PUSH_END_S
    assert deadlines.ENGINE_CALL_S < deadlines.WORKER_CALL_S
    assert deadlines.WORKER_STATUS_S < deadlines.CLIENT_STATUS_S
    assert deadlines.ENGINE_START_S < deadlines.MODEL_LOAD_S


def test_within_names_what_does_not_respond_and_cancels_it() -> None:
    async def run() -> None:
        waiting = asyncio.create_task(asyncio.Event().wait())
        with pytest.raises(DeadlineError, match=r"the worker did not respond within 0\.01 s"):
            await within(0.01, waiting, "the worker")
        assert waiting.cancelled()

    asyncio.run(run())


def test_within_returns_the_result_and_passes_errors_on() -> None:
    async def fail() -> None:
        raise TimeoutError("the awaitable's own")

    async def run() -> None:
        assert await within(60, asyncio.sleep(0, "result"), "it") == "result"
        with pytest.raises(TimeoutError, match="own") as caught:
            await within(60, fail(), "it")
        assert not isinstance(caught.value, DeadlineError)

    asyncio.run(run())


def test_each_item_has_its_own_deadline() -> None:
    async def count() -> AsyncIterator[int]:
        yield 1
        yield 2
        await asyncio.Event().wait()

    received: list[int] = []

    async def run() -> None:
        async for item in each_within(0.2, count(), "it"):
            received.append(item)

    with pytest.raises(DeadlineError):
        asyncio.run(run())
    assert received == [1, 2]


def test_wait_at_most_ends_without_an_error() -> None:
    async def run() -> None:
        await wait_at_most(0.01, asyncio.Event().wait())

    asyncio.run(run())
