"""The sample company's database, built relative to a day: 'the past month' never runs dry.

The same day gives the same rows. Table and column names are the company's own, which is what a
general model cannot guess.
"""

import random
import sqlite3
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path

SCHEMA = """
CREATE TABLE accounts (
    account_no INTEGER PRIMARY KEY,
    trade_name TEXT NOT NULL,
    harbour TEXT NOT NULL,
    tier TEXT NOT NULL CHECK (tier IN ('Anchor', 'Buoy', 'Cleat')),
    email TEXT NOT NULL
);
CREATE TABLE catalogue (
    sku TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    family TEXT NOT NULL,
    list_price REAL NOT NULL
);
CREATE TABLE sales_orders (
    so_no INTEGER PRIMARY KEY,
    account_no INTEGER NOT NULL REFERENCES accounts (account_no),
    channel TEXT NOT NULL CHECK (channel IN ('Web', 'Trade', 'Shop')),
    status TEXT NOT NULL CHECK (status IN ('Open', 'On hold', 'Closed', 'Cancelled')),
    cancel_code TEXT,
    net_total REAL NOT NULL,
    created_on TEXT NOT NULL,
    promised_on TEXT NOT NULL
);
CREATE TABLE so_lines (
    line_no INTEGER PRIMARY KEY,
    so_no INTEGER NOT NULL REFERENCES sales_orders (so_no),
    sku TEXT NOT NULL REFERENCES catalogue (sku),
    qty INTEGER NOT NULL,
    unit_price REAL NOT NULL
);
CREATE TABLE ar_invoices (
    inv_no INTEGER PRIMARY KEY,
    so_no INTEGER NOT NULL REFERENCES sales_orders (so_no),
    amount REAL NOT NULL,
    due_on TEXT NOT NULL,
    paid_on TEXT
);
CREATE TABLE bin_stock (
    sku TEXT PRIMARY KEY REFERENCES catalogue (sku),
    bin TEXT NOT NULL,
    on_hand INTEGER NOT NULL,
    reorder_at INTEGER NOT NULL
);
CREATE TABLE rma_cases (
    rma_no INTEGER PRIMARY KEY,
    so_no INTEGER NOT NULL REFERENCES sales_orders (so_no),
    sku TEXT NOT NULL REFERENCES catalogue (sku),
    fault_code TEXT NOT NULL,
    opened_on TEXT NOT NULL
);
"""

HARBOURS = ("Skerry Quay", "Port Maren", "Oyster Hard", "Lanby", "Grey Mole")
NAMES = (
    "Blue Gannet Charter", "Lanby Sailing School", "Mole End Chandlers", "Kittiwake Yachts",
    "Port Maren Marina", "Seventh Wave Boats", "Old Lifeboat Club", "Corran Day Sails",
    "Ebb and Flow Rentals", "Puffin Island Ferries", "Harbour Light Stores", "Two Rivers Rowing",
    "Sandbar Outfitters", "Northing Expeditions", "Whelk Street Riggers", "Selkie Dive Centre",
    "Long Reach Racing", "Calm Water Cruises", "The Bosun's Locker", "Spindrift Academy",
    "Marram Coast Guides", "Windward Youth Trust", "Saltmarsh Moorings", "Red Ensign Supplies",
)  # fmt: skip
TIERS = ("Anchor", "Buoy", "Cleat", "Cleat")
FAMILIES = {
    "SAIL": (("Coastal mainsail", 1480.0), ("Coastal jib", 890.0), ("Trysail", 640.0),
             ("Dinghy sail", 385.0), ("Storm jib", 520.0)),
    "WEAR": (("Harbour jacket", 219.0), ("Offshore jacket", 389.0), ("Deck boots", 129.0),
             ("Wool cap", 29.0), ("Sailing gloves", 39.0), ("Salopettes", 249.0)),
    "ROPE": (("Mooring line 12 m", 48.0), ("Halyard 30 m", 96.0), ("Mainsheet 16 m", 74.0),
             ("Dock line set", 112.0)),
    "DECK": (("Canvas tool bag", 84.0), ("Safety harness", 142.0), ("Boat hook", 45.0),
             ("Sail repair kit", 36.0), ("Dry bag 40 l", 58.0)),
}  # fmt: skip
CANCEL_CODES = ("CHANGED MIND", "FOUND CHEAPER", "TOO SLOW", "WRONG SIZE")
FAULT_CODES = ("BROKEN ZIP", "COLOUR FADED", "LEAKS", "SEAM OPEN", "WRONG ITEM")
ORDERS = 240


def build_database(path: Path, today: date | None = None) -> Path:
    """Write the SQLite file anew, with orders over the ten months before `today` (UTC)."""
    today = today or datetime.now(UTC).date()
    path.unlink(missing_ok=True)
    chance = random.Random(20)
    connection = sqlite3.connect(path)
    try:
        connection.executescript(SCHEMA)
        _add_accounts(connection, chance)
        _add_catalogue(connection, chance)
        _add_orders(connection, chance, today)
        connection.commit()
    finally:
        connection.close()
    return path


def _insert(connection: sqlite3.Connection, table: str, rows: list[tuple[object, ...]]) -> None:
    marks = ", ".join("?" * len(rows[0]))
    connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)


def _add_accounts(connection: sqlite3.Connection, chance: random.Random) -> None:
    rows: list[tuple[object, ...]] = []
    for number, name in enumerate(NAMES, start=1):
        mail = "office@" + "".join(c for c in name.lower() if c.isalnum()) + ".example"
        rows.append((1000 + number, name, chance.choice(HARBOURS), TIERS[number % 4], mail))
    _insert(connection, "accounts", rows)


def _products() -> list[tuple[str, str, str, float]]:
    return [
        (f"{family}-{number:02}", title, family, price)
        for family, titles in FAMILIES.items()
        for number, (title, price) in enumerate(titles, start=1)
    ]


def _add_catalogue(connection: sqlite3.Connection, chance: random.Random) -> None:
    products = _products()
    _insert(connection, "catalogue", [tuple(product) for product in products])
    stock: list[tuple[object, ...]] = []
    for number, (sku, *_) in enumerate(products):
        reorder_at = chance.randint(6, 20)
        # every third article has run low
        low = number % 3 == 0
        on_hand = chance.randint(0, reorder_at) if low else reorder_at + chance.randint(1, 60)
        stock.append((sku, f"{chance.choice('ABCD')}{number + 1:02}", on_hand, reorder_at))
    _insert(connection, "bin_stock", stock)


def _status(age: int, chance: random.Random) -> str:
    """Old orders are mostly closed, fresh ones mostly open."""
    weights = (1, 1, 13, 3) if age > 20 else (9, 2, 7, 2)
    return chance.choices(("Open", "On hold", "Closed", "Cancelled"), weights)[0]


def _add_orders(connection: sqlite3.Connection, chance: random.Random, today: date) -> None:
    """Orders with their lines, and for closed ones the invoice and now and then a return."""
    rows: dict[str, list[tuple[object, ...]]] = {
        name: [] for name in ("sales_orders", "so_lines", "ar_invoices", "rma_cases")
    }
    products, lines = _products(), count(1)
    for number in range(1, ORDERS + 1):
        so_no, age = 50000 + number, 300 - number * 300 // (ORDERS + 1)
        bought = _basket(products, chance)
        total = round(sum(price * qty for _, price, qty in bought) * chance.uniform(0.9, 1), 2)
        created, status = today - timedelta(days=age), _status(age, chance)
        rows["sales_orders"].append(_order(so_no, status, total, created, chance))
        rows["so_lines"] += [(next(lines), so_no, sku, qty, price) for sku, price, qty in bought]
        if status == "Closed":
            rows["ar_invoices"].append(_invoice(so_no, total, created, today, chance))
            if chance.random() < 0.25:
                rows["rma_cases"].append(_return(so_no, bought[0][0], created, today, chance))
    for table, made in rows.items():
        _insert(connection, table, made)


def _basket(
    products: list[tuple[str, str, str, float]], chance: random.Random
) -> list[tuple[str, float, int]]:
    """One to three articles as (sku, price, quantity)."""
    chosen = [chance.choice(products) for _ in range(chance.choice((1, 1, 2, 3)))]
    return [(sku, price, chance.randint(1, 4)) for sku, _, _, price in chosen]


def _order(
    so_no: int, status: str, total: float, created: date, chance: random.Random
) -> tuple[object, ...]:
    account = 1000 + chance.randint(1, len(NAMES))
    channel = chance.choice(("Web", "Web", "Trade", "Shop"))
    code = chance.choice(CANCEL_CODES) if status == "Cancelled" else None
    promised = created + timedelta(days=chance.randint(7, 21))
    return (so_no, account, channel, status, code, total, str(created), str(promised))


def _invoice(
    so_no: int, amount: float, created: date, today: date, chance: random.Random
) -> tuple[object, ...]:
    """One in seven is not paid; the others were paid within 40 days, or are not due yet."""
    due, paid = created + timedelta(days=30), created + timedelta(days=chance.randint(2, 40))
    unpaid = chance.random() < 1 / 7 or paid > today
    return (20000 + so_no, so_no, amount, str(due), None if unpaid else str(paid))


def _return(
    so_no: int, sku: str, created: date, today: date, chance: random.Random
) -> tuple[object, ...]:
    opened = min(created + timedelta(days=chance.randint(3, 30)), today)
    return (8000 + so_no, so_no, sku, chance.choice(FAULT_CODES), str(opened))
