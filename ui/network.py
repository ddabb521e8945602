"""QGIS's network settings in the words that pip understands."""

from __future__ import annotations

from typing import Dict
from urllib.parse import quote

from qgis.core import QgsApplication, QgsNetworkAccessManager
from qgis.PyQt.QtNetwork import QNetworkProxy


def proxy_variables() -> Dict[str, str]:
    """Variables for the proxy of QGIS's options; empty where QGIS uses the system's or none.

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
    variables = {"HTTP_PROXY": url, "HTTPS_PROXY": url, "http_proxy": url, "https_proxy": url}
    excluded = ",".join(entry.split("://")[-1].strip("/") for entry in manager.excludeList() if entry)
    if excluded:
        variables.update(NO_PROXY=excluded, no_proxy=excluded)
    return variables


def trusted_certificates() -> bytes:
    """The certificate authorities that QGIS trusts (the system's and the user's own), as PEM."""
    return bytes(QgsApplication.authManager().trustedCaCertsPemText())
