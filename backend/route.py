"""How a server is reached: as the system says, or by the proxy and the authorities of QGIS's settings."""

from __future__ import annotations

import ssl
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Route:
    """The way to servers.

    Attributes:
        proxies: addresses of proxies for `http` and `https`, and as `no` the hosts that need none,
            separated by commas; empty: what the environment's variables say. They may hold a password.
        certificates: authorities (PEM) that are trusted beside the system's.
    """

    proxies: Mapping[str, str] = field(default_factory=dict)
    certificates: str = ""

    def open(self, request: urllib.request.Request, timeout: float) -> Any:
        """The answer, as `urllib.request.urlopen` gives it.

        Args:
            request: whose scheme is http or https. timeout: seconds without a word.

        Raises:
            OSError, http.client.HTTPException, ValueError: as `urlopen`; OSError for a proxy of SOCKS.
        """
        handlers: list[urllib.request.BaseHandler] = []
        if self.proxies:
            host = urllib.parse.urlsplit(request.full_url).netloc
            direct = urllib.request.proxy_bypass_environment(host, self.proxies)  # type: ignore[attr-defined]
            through = {} if direct else {name: self.proxies[name] for name in self.proxies if name != "no"}
            if any(address.startswith("socks") for address in through.values()):
                raise OSError("QGIS's proxy speaks SOCKS, which is not supported here")
            handlers.append(urllib.request.ProxyHandler(through))
        if self.certificates:
            context = ssl.create_default_context()
            context.load_verify_locations(cadata=self.certificates)
            handlers.append(urllib.request.HTTPSHandler(context=context))
        return urllib.request.build_opener(*handlers).open(request, timeout=timeout)
