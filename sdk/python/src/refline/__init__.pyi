from concurrent.futures import Executor
from datetime import timedelta
from os import PathLike
from typing import (
    Any, Callable, Coroutine, Generator, Generic, Iterable, List, Literal, Mapping, Optional,
    Sequence, Tuple, Type, TypeVar, Union, overload,
)

from typing_extensions import Concatenate, ParamSpec

__version__: str

_P = ParamSpec("_P")
_Q = ParamSpec("_Q")
_R = TypeVar("_R")
_S = TypeVar("_S")
_T = TypeVar("_T")

_Delay = Union[float, timedelta, Sequence[float], Callable[[int], Union[float, timedelta]]]
_RetryOn = Union[Type[BaseException], Tuple[Type[BaseException], ...], Callable[[BaseException], bool]]
_Seconds = Union[float, timedelta]
_Executor = Union[int, Executor, Callable[[], Executor], Any]

class DependencyFailed(RuntimeError): ...
class TaskFailed(RuntimeError): ...

class unmapped(Generic[_T]):
    value: _T
    def __init__(self, value: _T) -> None: ...

class Future(Generic[_R]):
    id: str
    name: str
    @property
    def state(self) -> str: ...
    def result(self, timeout: Optional[float] = ...) -> _R: ...
    def exception(self, timeout: Optional[float] = ...) -> Optional[BaseException]: ...
    def done(self) -> bool: ...
    def cancel(self, reason: str = ...) -> bool: ...
    def __await__(self) -> Generator[Any, None, _R]: ...

class Futures(List[Future[_R]]):
    @overload
    def results(self, errors: Literal["raise"] = ...) -> List[_R]: ...
    @overload
    def results(self, errors: Literal["return"]) -> List[Union[_R, BaseException]]: ...

class Task(Generic[_P, _R]):
    name: str
    fn: Callable[_P, _R]
    tags: Tuple[str, ...]
    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R: ...
    # An argument may be a future in the place of its value, so these take anything.
    @overload
    def submit(self: Task[..., Coroutine[Any, Any, _S]], *args: Any, after: Iterable[Future[Any]] = ..., **kwargs: Any) -> Future[_S]: ...
    @overload
    def submit(self, *args: Any, after: Iterable[Future[Any]] = ..., **kwargs: Any) -> Future[_R]: ...
    @overload
    def map(self: Task[..., Coroutine[Any, Any, _S]], *args: Any, after: Iterable[Future[Any]] = ..., **kwargs: Any) -> Futures[_S]: ...
    @overload
    def map(self, *args: Any, after: Iterable[Future[Any]] = ..., **kwargs: Any) -> Futures[_R]: ...
    def with_options(
        self, *, name: Optional[str] = ..., retries: int = ..., delay: _Delay = ..., backoff: float = ...,
        jitter: float = ..., retry_on: _RetryOn = ..., timeout: Optional[_Seconds] = ...,
        cache: Union[None, bool, timedelta] = ..., cache_key: Union[None, str, Callable[..., Optional[str]]] = ...,
        tags: Union[str, Iterable[str]] = ..., keep: Optional[bool] = ...,
    ) -> Task[_P, _R]: ...
    @overload
    def __get__(self, instance: None, owner: Any = ...) -> Task[_P, _R]: ...
    @overload
    def __get__(self: Task[Concatenate[Any, _Q], _S], instance: object, owner: Any = ...) -> Task[_Q, _S]: ...

class Flow(Generic[_P, _R]):
    name: str
    fn: Callable[_P, _R]
    storage: Any
    run_config: Any
    schedule: Any
    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R: ...
    def with_options(
        self, *, name: Optional[str] = ..., retries: int = ..., delay: _Delay = ...,
        timeout: Optional[_Seconds] = ..., executor: _Executor = ..., keep: Optional[bool] = ...,
    ) -> Flow[_P, _R]: ...
    def register(self, *args: Any, **kwargs: Any) -> Any: ...

@overload
def flow(name: Callable[_P, _R]) -> Flow[_P, _R]: ...
@overload
def flow(
    name: Optional[str] = ..., *, retries: int = ..., delay: _Delay = ..., timeout: Optional[_Seconds] = ...,
    executor: _Executor = ..., keep: Optional[bool] = ...,
) -> Callable[[Callable[_P, _R]], Flow[_P, _R]]: ...
@overload
def task(name: Callable[_P, _R]) -> Task[_P, _R]: ...
@overload
def task(
    name: Optional[str] = ..., *, retries: int = ..., delay: _Delay = ..., backoff: float = ..., jitter: float = ...,
    retry_on: _RetryOn = ..., timeout: Optional[_Seconds] = ..., cache: Union[None, bool, timedelta] = ...,
    cache_key: Union[None, str, Callable[..., Optional[str]]] = ..., tags: Union[str, Iterable[str]] = ...,
    keep: Optional[bool] = ...,
) -> Callable[[Callable[_P, _R]], Task[_P, _R]]: ...
def log(text: object, level: Literal["debug", "info", "warning", "error"] = ...) -> None: ...
def progress(value: float, total: Optional[float] = ...) -> None: ...
def table(
    rows: Union[Iterable[Sequence[object]], Iterable[Mapping[str, object]], Mapping[str, Sequence[object]], Any],
    columns: Optional[Sequence[str]] = ..., title: str = ...,
) -> None: ...
def markdown(text: str) -> None: ...
def link(url: str, title: str = ...) -> None: ...
def artifact(path: Union[str, PathLike[str]]) -> None: ...
