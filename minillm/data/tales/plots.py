"""The grammar of the tales: five plots, in which things stay where they were put and people know what they were told.

Each function below writes (or reads: see choices.py) some sentences, and remembers what has happened, because later choices
depend on it: who was last named may be called "she"; where a thing is, it is found; who has it can give it away. What happened
also makes the questions that a tale may end with.
"""

from .choices import END, Reading, Telling
from .tale import Tale
from .words import Person, Thing, World

# --- beginning and end ---------------------------------------------------------------------------------------------------

def tell(choices: Telling | Reading, world: World) -> Tale:
    """The start symbol: a whole tale, with its title, and perhaps a question."""
    tale = Tale(choices, world)
    hero = tale.person()
    tale.say(" and the ")
    thing = tale.thing()
    tale.say("\n\n")
    tale.one_of("The sun was shining. ", "It was a cold day. ", "A soft rain was falling. ", "There was snow on the roofs. ")
    beginnings = [beginning.format(hero=hero.name, his=hero.his, thing=thing, a_thing=thing.a) for beginning, _ in PLOTS]
    plot = PLOTS[tale.one_of(*beginnings)][1]
    tale.plot, tale.last = plot.__name__, hero
    plot(tale, hero, thing)
    if tale.one_of(END, "\n\nQuestion: ") == 1:
        tale.asked = tale.facts[tale.one_of(*[fact.question for fact in tale.facts])]
        tale.say(f"\nAnswer: {tale.asked.answer}.{END}")
    return tale


def ending(tale: Tale, who: Person, friend: Person) -> None:
    tale.by(who)
    tale.one_of(" was happy", " smiled", " laughed")
    tale.one_of(" all day long.", f" and thought of {friend.name}.", " and slept well that night.")


# --- plots -----------------------------------------------------------------------------------------------------------------

def moved(tale: Tale, hero: Person, thing: Thing) -> None:
    """One puts a thing somewhere and goes away; another moves it meanwhile. Where will the first one look?"""
    it = thing.noun
    old_spot = tale.spot()
    tale.one_of(" and went to ", f". Then {hero.he} went to ")
    place = tale.place()
    tale.one_of(". Soon after, ", f". While {hero.he} was away, ")
    other = tale.person()
    tale.one_of(f" came in. {other.capital} took the {it} and put it ", f" found the {it} and hid it ")
    new_spot = tale.spot()
    tale.one_of(f". When {hero.name} came back, {hero.he} looked {old_spot}, but the {it} was gone. ",
                f". {hero.name} came home and looked {old_spot}, but {hero.he} found nothing. ")
    tale.one_of(f'"I put it {new_spot}," said {other.name}. ', f'"Look {new_spot}," said {other.name}. ')
    tale.one_of(f"{hero.name} looked {new_spot}, and there it was. ", f"So {hero.name} found the {it} {new_spot}. ")
    tale.last = hero
    ending(tale, hero, other)
    tale.fact(f"Where did {hero.name} look first?", "spots", old_spot)
    tale.fact(f"Where was the {it} when {hero.name} came back?", "spots", new_spot)
    tale.fact(f"Who moved the {it}?", "people", other.name)
    tale.fact(f"Where did {hero.name} go?", "places", place.at)


def gift(tale: Tale, hero: Person, thing: Thing) -> None:
    """A present is hidden, found, and then shown around or put away by its new owner."""
    it = thing.noun
    friend = tale.person()
    tale.say(f": {thing.a}. ")
    tale.by(hero)
    tale.one_of(" hid it ", " put it ")
    spot = tale.spot()
    tale.one_of(f" and called {friend.name}. ", f" and waited for {friend.name}. ")
    tale.last = None
    tale.says(hero, f"Look {spot}")
    tale.one_of(f"{friend.name} looked {spot} and found the {it}. ", f"So {friend.name} found the {it}. ")
    tale.last = friend
    tale.by(friend)
    if tale.one_of(" showed it to ", " took it home and put it ") == 0:
        third = tale.person()
        tale.say(". ")
        tale.last = friend if third.he != friend.he else None
        tale.fact(f"Who was shown the {it}?", "people", third.name)
    else:
        home = tale.spot()
        tale.say(". ")
        tale.fact(f"Where is the {it} now?", "spots", home)
    ending(tale, friend, hero)
    tale.fact(f"Who has the {it} now?", "people", friend.name)
    tale.fact(f"Who gave {friend.name} the {it}?", "people", hero.name)
    tale.fact(f"Where did {hero.name} hide the {it}?", "spots", spot)


def traded(tale: Tale, hero: Person, thing: Thing) -> None:
    """Two people may trade, or may not; each goes on with what is then theirs."""
    other = tale.person()
    tale.say(" had ")
    wish = tale.thing("a ")
    tale.say(". ")
    tale.one_of(f'"Will you take my {thing.noun} for your {wish.noun}?" asked {hero.name}. ',
                f'"I like your {wish.noun}," said {hero.name}. "Will you take my {thing.noun} for it?" ')
    agreed = tale.one_of(f'"Yes," said {other.name}, and they traded. ', f'"No," said {other.name}. "I want to keep it." ') == 0
    mine, yours = (wish, thing) if agreed else (thing, wish)
    tale.one_of(f"{hero.name} put the {mine.noun} ", f"At home {hero.name} put the {mine.noun} ")
    spot = tale.spot()
    tale.one_of(f". {other.name} took the {yours.noun} to ", f". {other.name} carried the {yours.noun} to ")
    place = tale.place()
    tale.say(". ")
    tale.last = None
    ending(tale, hero, other)
    tale.fact(f"Who has the {thing.noun} now?", "people", (other if agreed else hero).name)
    tale.fact(f"Who has the {wish.noun} now?", "people", (hero if agreed else other).name)
    tale.fact(f"Where did {hero.name} put the {mine.noun}?", "spots", spot)
    tale.fact(f"Where did {other.name} go?", "places", place.at)


def lost(tale: Tale, hero: Person, thing: Thing) -> None:
    """Something is lost, one asks another, who knows whom to ask."""
    it = thing.noun
    tale.one_of(f"So {hero.he} asked ", f"Then {hero.he} asked ")
    adviser = tale.person()
    tale.one_of(' for help. "Ask ', '. "You should ask ')
    owner = tale.person()
    tale.one_of(f'," said {adviser.name}. "{owner.capital} is ', f'," {adviser.name} answered. "{owner.capital} is ')
    place = tale.place("at ")
    tale.say('." ')
    tale.last = None                             # "she" was the one who is asked next
    tale.goes(hero, place)
    tale.one_of(f' and found {owner.name} there. "I have put it ', f' and asked {owner.name}. "I found it ')
    spot = tale.spot()
    tale.one_of(f'," said {owner.name} and gave it back. ', f'," said {owner.name}. "Here it is." ')
    tale.last = None
    ending(tale, hero, adviser)
    tale.fact(f"Who found the {it}?", "people", owner.name)
    tale.fact(f"Where was the {it}?", "spots", spot)
    tale.fact(f"Who told {hero.name} to ask {owner.name}?", "people", adviser.name)
    tale.fact(f"Where was {owner.name}?", "places", place.at)


def lent(tale: Tale, hero: Person, thing: Thing) -> None:
    """A promise to bring something back, which is kept, or nearly."""
    it = thing.noun
    friend = tale.person()
    tale.say(" came by. ")
    tale.asks(friend, f"May I borrow your {it}")
    when = tale.one_of('"Yes, but bring it back before dinner," ', '"Yes, but bring it back tomorrow," ')
    tale.one_of(f"said {hero.name}. ", f"{hero.name} answered. ")
    tale.say(friend.name)
    tale.one_of(" took it to ", " carried it to ")
    place = tale.place()
    tale.one_of(" and played there with ", " and met ")
    third = tale.person()
    tale.say(". ")
    late = ("Just before dinner", "The next day")[when]
    if tale.one_of(f"{late} {friend.name} came back with the {it}. ", f"{late} {friend.name} came back without the {it}. ") == 1:
        tale.one_of(f'"{third.name} has it," said {friend.name}. ', f'"I gave it to {third.name}," said {friend.name}. ')
        owner = third
    else:
        owner = hero
    tale.last = None
    ending(tale, owner, friend)
    tale.fact(f"Who has the {it} now?", "people", owner.name)
    tale.fact(f"Who borrowed the {it}?", "people", friend.name)
    tale.fact(f"Where did {friend.name} take the {it}?", "places", place.at)
    tale.fact(f"Whom did {friend.name} meet?", "people", third.name)


# How each plot begins, and how it goes on. No beginning is the beginning of another: by it a reader knows the plot.
PLOTS = (("{hero} put {his} {thing} ", moved),
         ("{hero} had a present for ", gift),
         ("{hero} had {a_thing}, and ", traded),
         ("{hero} could not find {his} {thing}. ", lost),
         ("{hero} was playing with {his} {thing} when ", lent))
