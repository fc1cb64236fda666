"""`use_kernels`: which kernels may run, in blocks that end in any order, in threads, tasks and compiled graphs."""

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
import torch

import lookalike
from lookalike.ops._kernels import Kernel, Op


def doubled(x):
    return x * 2


OP = Op(doubled, Kernel("cpu", lambda x: x * 3, lambda x: [], 0.0))


def runs_kernel():
    return OP(1) == 3


def test_blocks_may_end_in_any_order():
    first, second = lookalike.use_kernels(), lookalike.use_kernels("cpu")
    first.__enter__()
    second.__enter__()
    assert runs_kernel()
    first.__exit__(None, None, None)
    assert runs_kernel()
    second.__exit__(None, None, None)
    assert runs_kernel()
    second, first = lookalike.use_kernels("cpu"), lookalike.use_kernels()
    second.__enter__()
    first.__enter__()
    second.__exit__(None, None, None)
    assert not runs_kernel()
    first.__exit__(None, None, None)
    assert runs_kernel()


def test_an_error_inside_ends_the_block():
    with pytest.raises(ZeroDivisionError), lookalike.use_kernels():
        raise ZeroDivisionError
    assert runs_kernel()


def test_threads_choose_for_themselves():
    barrier = threading.Barrier(8)

    def work(number):
        with ExitStack() as stack:
            if number % 2:
                stack.enter_context(lookalike.use_kernels())
            barrier.wait()
            inside = runs_kernel()
            barrier.wait()
        return inside

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [number % 2 == 0 for number in range(8)]
    assert runs_kernel()
    with lookalike.use_kernels(), ThreadPoolExecutor(1) as pool:
        assert pool.submit(runs_kernel).result()
        assert not pool.submit(contextvars.copy_context().run, runs_kernel).result()


def test_tasks_choose_for_themselves():
    async def without(entered, left):
        with lookalike.use_kernels():
            entered.set()
            await left.wait()
            return runs_kernel()

    async def all_kernels(entered, left):
        await entered.wait()
        inside = runs_kernel()
        left.set()
        return inside

    async def both():
        entered, left = asyncio.Event(), asyncio.Event()
        return await asyncio.gather(without(entered, left), all_kernels(entered, left))

    assert asyncio.run(both()) == [False, True]
    assert runs_kernel()


def test_a_compiled_graph_follows_the_blocks_around_its_call():
    torch.compiler.reset()
    compiled = torch.compile(lambda x: OP(x), fullgraph=True, backend="eager")
    x = torch.ones(1)
    assert float(compiled(x)) == 3
    with lookalike.use_kernels():
        assert float(compiled(x)) == 2
    assert float(compiled(x)) == 3
    with ThreadPoolExecutor(1) as pool, lookalike.use_kernels():
        assert float(pool.submit(compiled, x).result()) == 3
