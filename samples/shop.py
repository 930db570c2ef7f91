"""A small shop with SQLite behind it: the WSGI application that samples/gevent and samples/eventlet serve.

    GET  /item/N      one row
    POST /order/N     takes one of N; wakes those that watch it
    GET  /watch/N     answers when N is ordered
    GET  /export      every row, a large answer in pieces
    GET  /pay/N       holds account N's lock while the bank thinks about it
    GET  /report      asks every department, each in a greenlet of its own, and waits for all
"""
import sqlite3

ITEMS, ACCOUNTS, DEPARTMENTS = 2000, 10, 4
BANK_SECONDS, DEPARTMENT_SECONDS = 20, 40


class Shop:
    """`library` has the waiting: sleep, spawn, result, and the classes Event (wait, set), Lock and Queue (get, put)."""

    def __init__(self, library):
        self.library = library
        self.changed = {}  # item -> Event
        self.accounts = [library.Lock() for _ in range(ACCOUNTS)]
        self.orders = library.Queue()
        self.database = sqlite3.connect(":memory:")
        self.database.execute("create table item (id integer primary key, name text, stock integer)")
        self.database.executemany("insert into item values (?, ?, ?)", ((i, "item %d" % i, 100) for i in range(ITEMS)))

    def item(self, number):
        return "%d %s %d\n" % self.database.execute("select id, name, stock from item where id = ?", (number,)).fetchone()

    def order(self, number, body):
        self.orders.put((number, len(body.read())))
        self.database.execute("update item set stock = stock - 1 where id = ?", (number,))
        self.changed.pop(number, self.library.Event()).set()
        return "ordered\n"

    def watch(self, number):
        self.changed.setdefault(number, self.library.Event()).wait()
        return self.item(number)

    def export(self):
        for number in range(ITEMS):
            yield (self.item(number) * 1000).encode()

    def pay(self, number):
        with self.accounts[number % ACCOUNTS]:
            self.ask_bank(number)
        return "paid\n"

    def ask_bank(self, number):
        self.library.sleep(BANK_SECONDS)

    def report(self):
        departments = [self.library.spawn(self.ask_department, number) for number in range(DEPARTMENTS)]
        return "%d\n" % sum(self.library.result(department) for department in departments)

    def ask_department(self, number):
        self.library.sleep(DEPARTMENT_SECONDS + number)
        return self.database.execute("select sum(stock) from item where id % ? = ?", (DEPARTMENTS, number)).fetchone()[0]

    def keep_books(self):
        while True:
            self.orders.get()

    def __call__(self, environ, start_response):
        what, _, number = environ["PATH_INFO"].strip("/").partition("/")
        number = int(number) % ITEMS if number.isdigit() else 0
        if what == "export":
            start_response("200 OK", [("Content-Type", "text/plain")])
            return self.export()
        if what == "order":
            answer = self.order(number, environ["wsgi.input"])
        elif what == "report":
            answer = self.report()
        elif what in ("item", "watch", "pay"):
            answer = getattr(self, what)(number)
        else:
            start_response("404 Not Found", [("Content-Length", "0")])
            return []
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))])
        return [answer.encode()]
