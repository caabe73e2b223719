"""A tale while it is told: who and what is in it so far, and the sentences that all plots share."""

from typing import NamedTuple

from .choices import Reading, Telling
from .words import Person, Place, Thing, World

KINDS = ("people", "looks", "things", "places", "spots")


class Fact(NamedTuple):
    """What a tale may ask at its end."""

    question: str
    kind: str           # of what the answer is: one of KINDS
    answer: str


class Tale:
    """A tale so far: who and what is in it, and what could be asked about it."""

    def __init__(self, choices: Telling | Reading, world: World):
        self.say, self.one_of, self.choices, self.world = choices.say, choices.one_of, choices, world
        self.taken: dict[str, list[int]] = {kind: [] for kind in KINDS}
        self.last: Person | None = None                     # whom "he" or "she" would mean
        self.facts: list[Fact] = []
        self.plot = ""
        self.asked: Fact | None = None                      # the one that is asked, if any

    # --- somebody or something new: drawn from a list, and nothing comes twice ---

    def _new(self, kind: str, form: str = "") -> int:
        i = self.choices.draw(self.world.words[form + kind], self.taken[kind])
        self.taken[kind].append(i)
        return i

    def person(self) -> Person:
        return self.world.people[self._new("people")]

    def thing(self, form: str = "") -> Thing:
        look = self.world.looks[self._new("looks", form)]
        self.say(" ")
        return Thing(look, self.world.things[self._new("things")])

    def place(self, form: str = "to ") -> Place:
        return self.world.places[self._new("places", form)]

    def spot(self) -> str:
        return self.world.spots[self._new("spots")]

    # --- sentences ---

    def by(self, who: Person) -> None:
        """Begins a sentence about somebody: by name, or as "She" where she was the last to do something."""
        if self.last is who:
            self.one_of(who.capital, who.name)
        else:
            self.say(who.name)
        self.last = who

    def says(self, who: Person, words: str) -> None:
        if self.one_of(f'"{words}," ', f'{who.name} said, "{words}." ') == 0:
            self.one_of(f"said {who.name}. ", f"{who.name} called. ")
        self.last = who

    def asks(self, who: Person, words: str) -> None:
        self.one_of(f'"{words}?" asked {who.name}. ', f'{who.name} asked, "{words}?" ')
        self.last = who

    def goes(self, who: Person, place: Place) -> None:
        self.by(who)
        self.one_of(f" went to {place.the}", f" ran to {place.the}")

    def fact(self, question: str, kind: str, answer: str) -> None:
        self.facts.append(Fact(question, kind, answer))
