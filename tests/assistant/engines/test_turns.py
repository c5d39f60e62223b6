"""Real threads that take turns."""

import threading
import time

from assistant.engines.turns import Turns


class Scene:
    """Replies that run until they are told to end."""

    def __init__(self, places=2):
        self.turns = Turns(places)
        self.running, self.over = [], []
        self._lock = threading.Lock()
        self._ends = {}
        self._threads = []

    def ask(self, name, adapter_id, cancel=None, **patience):
        end = self._ends[name] = threading.Event()

        def run():
            entered = self.turns.enter(adapter_id, cancel or threading.Event(), **patience)
            with self._lock:
                (self.running if entered else self.over).append(name)
            if entered:
                end.wait(120)
                with self._lock:
                    self.running.remove(name)
                    self.over.append(name)
                self.turns.leave()

        self._threads.append(threading.Thread(target=run))
        self._threads[-1].start()
        time.sleep(0.02)  # so that they come in this order

    def end(self, name):
        self._ends[name].set()

    def see(self, *names):
        """Whether exactly these run, now and a little later."""
        ends = time.monotonic() + 60
        while sorted(self.running) != sorted(names) and time.monotonic() < ends:
            time.sleep(0.01)
        time.sleep(0.05)
        return sorted(self.running) == sorted(names)

    def close(self):
        for end in self._ends.values():
            end.set()
        for thread in self._threads:
            thread.join(120)
            assert not thread.is_alive()


def test_replies_by_one_adapter_run_together_and_the_longest_waiting_one_is_next():
    scene = Scene()
    for name, adapter_id in (("a", 1), ("b", 2), ("c", None), ("d", 1), ("e", 2), ("f", 2)):
        scene.ask(name, adapter_id)
    assert scene.see("a")  # d came after b, which waits
    scene.end("a")
    assert scene.see("b", "e")  # f finds no place
    scene.end("e")
    assert scene.see("b", "f")
    scene.ask("g", 2)
    scene.end("f")
    assert scene.see("b")  # g came after the turn began, and c waits
    scene.end("b")
    assert scene.see("c")
    scene.end("c")
    assert scene.see("d")
    scene.end("d")
    assert scene.see("g")
    scene.close()


def test_who_comes_later_joins_while_nobody_waits_for_another():
    scene = Scene()
    scene.ask("a", 1)
    scene.ask("b", 1)
    assert scene.see("a", "b")
    scene.ask("c", 1)
    scene.end("a")
    assert scene.see("b", "c")
    scene.close()


def test_one_that_waits_can_be_cancelled_or_loses_patience():
    scene = Scene()
    cancel = threading.Event()
    scene.ask("a", 1)
    scene.ask("b", 2, cancel)
    scene.ask("c", 3, patience_s=0.3)
    assert scene.see("a", "c")
    cancel.set()
    scene.end("a")
    scene.end("c")
    scene.close()
    assert sorted(scene.over) == ["a", "b", "c"]


def test_who_waits_when_it_closes_is_not_wanted():
    scene = Scene()
    scene.ask("a", 1)
    scene.ask("b", 2)
    scene.turns.close()
    assert scene.see("a")
    scene.close()
    assert scene.over == ["b", "a"]
