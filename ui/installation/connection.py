"""How QGIS reaches servers, for pip and for the backend: its proxies, and whom it trusts."""

from __future__ import annotations

from typing import Dict
from urllib.parse import quote

from qgis.core import QgsApplication, QgsNetworkAccessManager
from qgis.PyQt.QtNetwork import QNetworkProxy


def proxies() -> Dict[str, str]:
    """Proxies of QGIS's options for `http` and `https`, and as `no` the hosts that need none.

    Empty where QGIS uses the system's or none.

    Call it in the GUI thread: network access managers belong to threads.
    """
    manager = QgsNetworkAccessManager.instance()
    proxy = manager.fallbackProxy()
    schemes = {
        QNetworkProxy.ProxyType.HttpProxy: "http",
        QNetworkProxy.ProxyType.HttpCachingProxy: "http",
        QNetworkProxy.ProxyType.Socks5Proxy: "socks5h",
    }
    if proxy.type() not in schemes or not proxy.hostName():
        return {}
    who = ""
    if proxy.user():
        who = quote(proxy.user(), safe="") + ":" + quote(proxy.password(), safe="") + "@"
    host = f"[{proxy.hostName()}]" if ":" in proxy.hostName() else proxy.hostName()
    url = f"{schemes[proxy.type()]}://{who}{host}:{proxy.port() or 8080}"
    found = {"http": url, "https": url}
    excluded = ",".join(entry.split("://")[-1].strip("/") for entry in manager.excludeList() if entry)
    return {**found, "no": excluded} if excluded else found


def proxy_variables() -> Dict[str, str]:
    """The same as variables, which pip reads in either case."""
    variables = {f"{name}_proxy": value for name, value in proxies().items()}
    return {**variables, **{name.upper(): value for name, value in variables.items()}}


def trusted_certificates() -> bytes:
    """The certificate authorities that QGIS trusts (the system's and the user's own), as PEM."""
    return bytes(QgsApplication.authManager().trustedCaCertsPemText())
