"""Reads the names and versions of clients from their peer ids (BEP 20, contract section 1.9).

Tables and prefixes only. Names are those of the reference tracker's API, so that software which
compares them keeps working; a client that it does not know has its own name.
"""

from __future__ import annotations

from typing import Final

# "-XXvvvv-": two characters name the client. One line holds code and name.
_AZUREUS: Final = dict(
    line.split(maxsplit=1)
    for line in """
        7T aTorrent
        A2 aria2
        AG Ares
        AN Ares
        AR Ares
        AT Artemis
        AV Avicora
        AX BitPump
        AZ Vuze
        A~ Ares
        BB BitBuddy
        BC BitComet
        BE BitTorrent SDK
        BF BitFlu
        BG BTG
        BI BiglyBT
        BR BitRocket
        BS BTSlave
        BT BitTorrent
        BW BitWombat
        BX BittorrentX
        CB Shareaza Plus
        CD Enhanced CTorrent
        CT CTorrent
        DE Deluge
        DP Propogate Data Client
        EB EBit
        ES Electric Sheep
        FC FileCroc
        FD Free Download Manager
        FG FlashGet
        FL folx
        FT FoxTorrent/RedSwoosh
        FW FrostWire
        FX Freebox BitTorrent
        GR GetRight
        GS GS Torrent
        HL Halite
        HN Hydranode
        KG KGet
        KT KTorrent
        LC LeechCraft
        LH LH-ABC
        LK linkage
        LP Lphant
        LT libtorrent (Rasterbar)
        LW LimeWire
        MG MediaGet
        MO MonoTorrent
        MP MooPolice
        MR Miro
        MT MoonlightTorrent
        NE BT Next Evolution
        NX NetTransport
        OS OneSwarm
        OT OmegaTorrent
        PC CacheLogic
        PD Pando
        PE PeerProject
        PT Popcorn Time
        QD qqdownload
        RM RUM Torrent
        RT Retriever
        RZ RezTorrent
        SB SwiftBit
        SD 迅雷在线 (Xunlei)
        SG GS Torrent
        SN ShareNET
        SP BitSpirit
        SS SwarmScope
        ST SymTorrent
        SZ Shareaza
        S~ Shareaza alpha/beta
        TG Torrent GO
        TN Torrent.NET
        TR Transmission
        TS TorrentStorm
        TT TuoTu
        UE µTorrent Embedded
        UL uLeecher!
        UM µTorrent Mac
        UT µTorrent
        UW µTorrent Web
        VG 哇嘎 (Vagaa)
        WD WebTorrent Desktop
        WT Bitlet
        WW WebTorrent
        WY FireTorrent
        XC XTorrent
        XF Xfplay
        XL 迅雷在线 (Xunlei)
        XT XanTorrent
        XX XTorrent
        ZO Zona
        ZT ZipTorrent
        bk BitKitten (libtorrent)
        lt libTorrent (Rakshasa) / rTorrent
        pX pHoeniX
        qB qBittorrent
        st SharkTorrent
    """.strip().splitlines()
)
# Clients without a dash after the version.
_WITHOUT_CLOSING_DASH: Final = frozenset({"FG", "KT", "LH", "NE", "SP"})

# "S58B-----": one letter, the version, and dashes through the sixth byte.
_SHADOW: Final = {
    "A": "ABC",
    "O": "Osprey Permaseed",
    "Q": "BTQueue",
    "R": "Tribler",
    "S": "Shad0w",
    "T": "BitTornado",
    "U": "UPnP NAT",
}

# "M7-10-2--": a letter and a version number with dashes.
_MAINLINE: Final = {"M": "Mainline", "Q": "Queen Bee"}

# Clients with their own convention; a longer prefix stands before a shorter one.
_PREFIXES: Final = {
    "-aria2-": "aria2",
    "A2-": "aria2",
    "-BOW": "BitsOnWheels",
    "-G3": "G3 Torrent",
    "-ML": "MLdonkey",
    "-UM": "µTorrent Mac",
    "-UT": "µTorrent",
    "-WS": "HTTPSeed",
    "Azureus": "Azureus",
    "BLZ": "Blizzard Downloader",
    "BitLet": "Bitlet",
    "DNA": "BitTorrent DNA",
    "LIME": "Limewire",
    "Mbrst": "Burst!",
    "Pando": "Pando",
    "Plus": "Plus!",
    "QVOD": "QVOD",
    "S3-": "Amazon AWS S3",
    "TIX": "Tixati",
    "XBT": "XBT",
    "btpd": "BT Protocol Daemon",
    "eX": "eXeem",
    "exbc": "BitComet",
    "turbobt": "TurboBT",
}


def client_name(peer_id: bytes) -> str | None:
    """Returns the name of the client with this peer id of 20 bytes, or None for an unknown one."""
    if len(peer_id) != 20:
        return None
    text = peer_id.decode("latin-1")
    return _azureus(text) or _prefixed(text) or _shadow(text) or _mainline(text)


def _azureus(text: str) -> str | None:
    code = text[1:3]
    closed = text[7] == "-" and text[1:4] != "BOW"
    if text[0] == "-" and (closed or code in _WITHOUT_CLOSING_DASH):
        return _AZUREUS.get(code)
    return None


def _prefixed(text: str) -> str | None:
    if text.startswith("exbc") and text[6:10] == "LORD":
        return "BitLord"
    return next((name for prefix, name in _PREFIXES.items() if text.startswith(prefix)), None)


def _shadow(text: str) -> str | None:
    version = text[1:5].rstrip("-")
    plain = not version or (version.isascii() and version.isalnum())
    return _SHADOW.get(text[0]) if plain and text[5] == "-" else None


def _mainline(text: str) -> str | None:
    numbered = text[1] in "0123456789"
    return _MAINLINE.get(text[0]) if numbered else None


OTHERS = ("Other", "")
"""Name and version for a client that is not recognised."""


def client_of(peer_id: bytes) -> tuple[str, str]:
    """Reads a client's name and version from its peer id (20 bytes).

    The version is "" unless it is four letters and digits.
    """
    name = client_name(peer_id)
    if name is None:
        return OTHERS
    version = peer_id[3:7]
    plain = peer_id[:1] == b"-" and version.isalnum()
    return name, version.decode() if plain else ""
