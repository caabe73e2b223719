"""The words of the tales: who, what, where. Each list is drawn from by Zipf's law, so its first words are the most frequent."""

from dataclasses import dataclass
from functools import cached_property

from .choices import Words

GIRLS = "Mia Anna Lily Rosa"
BOYS = "Tom Ben Sam Leo"

# What things look like, and what they are. Nothing here is also a place, so that every word has one meaning.
LOOKS = "red little old blue golden"
THINGS = "kite lamp ball key book drum bell map"

# Where one can go ("to the market") and be ("at the market").
PLACES = "in the garden, at the market, by the river, in the forest, at the school, on the hill"

# Where something can be put, or can hide.
SPOTS = "under the bed, on the shelf, in the basket, behind the door, beside the stove, near the window"


@dataclass(frozen=True)
class Person:
    name: str
    he: str             # these three say "she", "her" and "her" of a girl
    him: str
    his: str

    @property
    def capital(self) -> str:
        """He or She, to begin a sentence with."""
        return self.he.capitalize()


@dataclass(frozen=True)
class Thing:
    look: str
    noun: str

    def __str__(self) -> str:
        return f"{self.look} {self.noun}"

    @property
    def a(self) -> str:
        return f"{article(self.look)} {self}"


@dataclass(frozen=True)
class Place:
    at: str             # "at the market"

    @property
    def the(self) -> str:
        """What follows "to": the market."""
        return self.at.partition(" ")[2]


def article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def one_by_one(first: list, second: list) -> list:
    return [item for pair in zip(first, second) for item in pair]


LEAST = {"people": 3, "looks": 2, "things": 2, "places": 1, "spots": 2}


@dataclass(frozen=True)
class World:
    """What tales are about. A smaller world makes smaller tales: World(looks=("red", "old"))."""

    people: tuple[Person, ...] = tuple(one_by_one([Person(name, "she", "her", "her") for name in GIRLS.split()],
                                                  [Person(name, "he", "him", "his") for name in BOYS.split()]))
    looks: tuple[str, ...] = tuple(LOOKS.split())
    things: tuple[str, ...] = tuple(THINGS.split())
    places: tuple[Place, ...] = tuple(Place(place.strip()) for place in PLACES.split(","))
    spots: tuple[str, ...] = tuple(spot.strip() for spot in SPOTS.split(","))

    def __post_init__(self) -> None:
        for name, least in LEAST.items():
            if (has := len(getattr(self, name))) < least:
                raise ValueError(f"A world needs at least {least} {name}, since so many can be in one tale; this one has {has}.")

    @cached_property
    def words(self) -> dict[str, Words]:
        """The lists in the forms that they have in a text."""
        return {"people": Words([person.name for person in self.people]),
                "looks": Words(self.looks),
                "a looks": Words([f"{article(look)} {look}" for look in self.looks]),
                "things": Words(self.things),
                "to places": Words([place.the for place in self.places]),
                "at places": Words([place.at for place in self.places]),
                "spots": Words(self.spots)}

    def answers(self, kind: str) -> list[str]:
        """All that could answer a question for one of this kind, as an answer says it."""
        return list(self.words["at places" if kind == "places" else kind].words)
