"""Which questions of a container shoal answers itself, and how. Pure."""

from __future__ import annotations

import random

from shoal.network.dns.answer import (
    answer_addresses,
    answer_empty,
    answer_name,
    answer_version,
    longest_answer,
)
from shoal.network.dns.names import Names
from shoal.network.dns.question import IN, PTR, Question, reversed_address


def local_answer(container_id: str, names: Names, question: Question, *, stream: bool) -> bytes | None:
    """The answer to a question about containers; None when another name server is to be asked.

    A name that is known has its addresses only: any other type gets the answer that there is nothing of it. Of several
    addresses each comes first equally often.
    """
    if question.version:
        return answer_version(question)
    if question.kind != IN:
        return None
    addresses = names.lookup(container_id, question.name)
    if addresses is not None:
        if len(addresses) > 1:
            addresses = random.sample(addresses, len(addresses))
        return answer_addresses(question, addresses, longest_answer(question, stream=stream))
    if question.type == PTR and (address := reversed_address(question.name)) is not None:
        name = names.reverse(container_id, address)
        if name is not None:
            return answer_name(question, name)
    return None


def failure_answer(question: Question, code: int) -> bytes:
    """The answer that there is none."""
    return answer_empty(question, code)
