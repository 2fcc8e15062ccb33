"""Who asks: a tenant for every key, without keeping the key."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import TypeAlias

Tenants: TypeAlias = Callable[[Mapping[str, str]], str]
"""Returns the tenant of a request by its headers, whose names are in lower case."""
CREDENTIALS = ("authorization", "api-key", "x-api-key")
"""The headers in which clients bring their key."""
NOBODY = "default"


def by_key(secret: bytes) -> Tenants:
    """Return what makes a tenant of every key: a keyed hash, from which nobody finds the key or compares two stores.

    Requests without a key are the tenant "default".

    Args:
        secret: the key of the hash; another one makes other tenants of the same keys.

    Raises:
        ValueError: the secret has less than 16 bytes.
    """
    if len(secret) < 16:
        raise ValueError("the secret for tenants is too short: give at least 16 random bytes")

    def tenant(headers: Mapping[str, str]) -> str:
        keys = [f"{name}:{headers[name].strip()}" for name in CREDENTIALS if headers.get(name, "").strip()]
        if not keys:
            return NOBODY
        return f"key-{hmac.new(secret, chr(10).join(keys).encode(), hashlib.sha256).hexdigest()[:24]}"

    return tenant


def one(tenant: str) -> Tenants:
    """Return what makes one tenant of everybody who may ask."""
    return lambda headers: tenant
