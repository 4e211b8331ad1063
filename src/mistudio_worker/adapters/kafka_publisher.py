"""Publishing to Kafka: idempotent, acknowledged by all in-sync replicas, never waiting without a limit."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from mistudio_worker.adapters.kafka_errors import FAILURES, away, away_with_cause, check_token, refusal
from mistudio_worker.errors import MistudioError, ServiceAway

if TYPE_CHECKING:
    from mistudio_worker.adapters.kafka_connection import KafkaConnection
    from mistudio_worker.worker.ports import Message


class KafkaPublisher:
    """Implements `Publisher`. The connection is made at the first message, and anew after a fatal error.

    Args:
        connection: leads to the brokers.
        publish_timeout_s: longest wait for one acknowledgement.
        request_timeout_ms: longest wait for one answer of a broker.
        stop_timeout_s: longest wait for what is left to be sent, when the connection is given up.
        max_message_bytes: larger messages are refused here.
    """

    def __init__(
        self,
        *,
        connection: KafkaConnection,
        publish_timeout_s: float,
        request_timeout_ms: int,
        stop_timeout_s: float,
        max_message_bytes: int,
    ) -> None:
        self._connection = connection
        self._publish_timeout_s = publish_timeout_s
        self._request_timeout_ms = request_timeout_ms
        self._stop_timeout_s = stop_timeout_s
        self._max_message_bytes = max_message_bytes
        self._producer: AIOKafkaProducer | None = None
        self._connecting = asyncio.Lock()
        # aiokafka tries an idempotent message for ever: handed over again at each try, it would come out that often
        self._handed_over: dict[int, asyncio.Future[object]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    async def publish(self, message: Message) -> None:
        """See `Publisher`."""
        if _size(message) > self._max_message_bytes:
            raise self._too_large(message)
        try:
            async with asyncio.timeout(self._publish_timeout_s):
                acknowledged = await self._hand_over(message)
                # waited for, not awaited: the batch is the producer's, and its cancellation is not ours
                await asyncio.wait({acknowledged})
            if acknowledged.cancelled():
                raise self._away(message, "was given up with its connection")
            acknowledged.result()
        except (MessageSizeTooLargeError, RecordListTooLargeError) as error:
            raise self._too_large(message) from error
        except TimeoutError as error:
            refused = await refusal(self._connection, _publishing(message))
            raise refused or self._away(
                message, f"did not acknowledge within {self._publish_timeout_s:.0f} s"
            ) from error
        except FAILURES as error:
            await self._forget_producer()
            raise away(self._connection, error, _publishing(message)) from error

    async def close(self) -> None:
        """Send what is left, within the time limit, and disconnect."""
        await self._forget_producer()

    async def _hand_over(self, message: Message) -> asyncio.Future[object]:
        """Give a message to the producer, unless it has it already; return what tells of its acknowledgement."""
        before = self._handed_over.get(id(message))
        if before is not None and not (before.done() and (before.cancelled() or before.exception())):
            return before
        producer = await self._connected(message)
        # aiokafka refuses a record without key and value, which other clients may well have written
        value = b"" if message.key is None and message.value is None else message.value
        acknowledged: asyncio.Future[object] = await producer.send(
            message.topic, value=value, key=message.key, headers=list(message.headers)
        )
        self._handed_over[id(message)] = acknowledged
        weakref.finalize(message, self._handed_over.pop, id(message), None).atexit = False
        return acknowledged

    async def _connected(self, message: Message) -> AIOKafkaProducer:
        async with self._connecting:
            if self._producer is None:
                await check_token(self._connection, _publishing(message))
                producer = AIOKafkaProducer(
                    **self._connection.options(),
                    enable_idempotence=True,
                    acks="all",
                    max_request_size=self._max_message_bytes + (64 << 10),
                    request_timeout_ms=self._request_timeout_ms,
                )
                try:
                    await producer.start()
                except FAILURES as error:
                    await self._stop(producer)
                    raise await away_with_cause(self._connection, error, _publishing(message)) from error
                except BaseException:
                    await self._stop(producer)
                    raise
                self._producer = producer
            self._connection.renew(self._producer.client)
            return self._producer

    async def _forget_producer(self) -> None:
        producer, self._producer = self._producer, None
        self._handed_over.clear()
        if producer is not None:
            await self._stop(producer)

    async def _stop(self, producer: AIOKafkaProducer) -> None:
        """End a producer; what takes longer goes on beside: cancelled, it would stay connected for good."""
        ending = asyncio.create_task(_end(producer))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)
        await asyncio.wait({ending}, timeout=self._stop_timeout_s)

    def _away(self, message: Message, what: str) -> ServiceAway:
        return ServiceAway(
            "BROKER_UNAVAILABLE",
            f"{_publishing(message)} at {self._connection.bootstrap_servers} {what}",
            "check that the broker runs, that MISTUDIO_KAFKA__BOOTSTRAP_SERVERS names it, and that the topic exists",
        )

    def _too_large(self, message: Message) -> MistudioError:
        return MistudioError(
            "MESSAGE_TOO_LARGE",
            f"a message of {_size(message)} bytes is too large for topic {message.topic!r}",
            "raise max.message.bytes of the topic and MISTUDIO_KAFKA__MAX_MESSAGE_BYTES",
        )


async def _end(producer: AIOKafkaProducer) -> None:
    with contextlib.suppress(KafkaError):
        await producer.stop()


def _publishing(message: Message) -> str:
    return f"publishing to topic {message.topic!r}"


def _size(message: Message) -> int:
    headers = sum(len(name) + len(content) + 8 for name, content in message.headers)
    return len(message.key or b"") + len(message.value or b"") + headers + 128
