"""The same SDK to await. Each call runs in a thread of its own client: one set of rules, however it is called."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial, wraps
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from potluck.client import Client
from potluck.stopping import Stopped, stoppable

P = ParamSpec("P")
T = TypeVar("T")
AT_ONCE = 8


class _Awaited(Generic[P, T]):
    """A method of Client as a coroutine function of AsyncClient, with the same parameters."""

    def __init__(self, method: Callable[Concatenate[Client, P], T]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, instance: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, instance: "AsyncClient", owner: type[Any]) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, instance: "AsyncClient | None", owner: type[Any]) -> "Self | Callable[P, Coroutine[Any, Any, T]]":
        if instance is None:
            return self

        @wraps(self._method)
        async def awaited(*args: P.args, **kwargs: P.kwargs) -> T:
            return await instance.run(partial(self._method, instance.client, *args, **kwargs))

        return awaited


class _Iterated(Generic[P, T]):
    """A method that iterates, as an asynchronous iterator."""

    def __init__(self, method: Callable[Concatenate[Client, P], Iterator[T]]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, instance: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, instance: "AsyncClient", owner: type[Any]) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, instance: "AsyncClient | None", owner: type[Any]) -> "Self | Callable[P, AsyncIterator[T]]":
        if instance is None:
            return self

        @wraps(self._method)
        async def iterated(*args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
            items = self._method(instance.client, *args, **kwargs)
            while (item := await instance.run(partial(next, items, _END))) is not _END:
                yield item

        return iterated


_END = object()


class AsyncClient:
    """`Client`, with methods to await and iterators to `async for` over; arguments as `Client` takes them.

    Up to eight calls run side by side, so several archives or files travel in parallel:

        async with AsyncClient() as client:
            await asyncio.gather(*(client.upload(one, name=one.stem, authors=["…"]) for one in archives))

    A call that is cancelled ends at its next piece; an upload or download goes on there when it is called again.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.client = Client(*args, **kwargs)
        self.server = self.client.server
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="potluck")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await asyncio.to_thread(self._threads.shutdown, wait=True)
        self.client.close()

    async def run(self, work: Callable[[], T]) -> T:
        """`work`, in a thread; when this is cancelled it is told to stop."""
        stop = threading.Event()

        def stoppable_work() -> T:
            with stoppable(stop):
                try:
                    return work()
                except Stopped:
                    raise asyncio.CancelledError from None

        # A cancelled wait must not cancel what the thread has begun: it is asked to stop between two pieces.
        result = asyncio.get_running_loop().run_in_executor(self._threads, copy_context().run, stoppable_work)
        try:
            return await asyncio.shield(result)
        except asyncio.CancelledError:
            stop.set()
            raise

    sign_up = _Awaited(Client.sign_up)
    new_token = _Awaited(Client.new_token)
    begin_browser_sign_in = _Awaited(Client.begin_browser_sign_in)
    wait_for_browser = _Awaited(Client.wait_for_browser)
    me = _Awaited(Client.me)
    tokens = _Awaited(Client.tokens)
    revoke_token = _Awaited(Client.revoke_token)
    upload = _Awaited(Client.upload)
    make_public = _Awaited(Client.make_public)
    withdraw = _Awaited(Client.withdraw)
    datasets = _Awaited(Client.datasets)
    search = _Awaited(Client.search)
    dataset = _Awaited(Client.dataset)
    follow = _Iterated(Client.follow)
    picture = _Awaited(Client.picture)
    archive_files = _Awaited(Client.archive_files)
    citation = _Awaited(Client.citation)
    metric_report = _Awaited(Client.metric_report)
    report_files = _Awaited(Client.report_files)
    rerun = _Awaited(Client.rerun)
    reruns = _Awaited(Client.reruns)
    wait_for_rerun = _Awaited(Client.wait_for_rerun)
    receipts = _Awaited(Client.receipts)
    signing_keys = _Awaited(Client.signing_keys)
    policy = _Awaited(Client.policy)
    formats = _Awaited(Client.formats)
    licences = _Awaited(Client.licences)
    agreement = _Awaited(Client.agreement)
    regions = _Awaited(Client.regions)
    seconds_to = _Awaited(Client.seconds_to)
    nearest_region = _Awaited(Client.nearest_region)
    models = _Awaited(Client.models)
    model = _Awaited(Client.model)
    model_citation = _Awaited(Client.model_citation)
    download = _Awaited(Client.download)
    verify = _Awaited(Client.verify)
