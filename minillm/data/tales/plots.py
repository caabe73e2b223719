"""The grammar of the tales: seven plots, in which things stay where they were put and people know what they were told.

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
    tale.one_of("The sun was shining", "It was a cold day", "A soft rain was falling", "There was snow on the roofs",
                "A strong wind was blowing", "It was early in spring")
    tale.one_of(", and the birds were singing. ", ", and nobody was in a hurry. ", ", and the streets were quiet. ",
                ", and the air smelled of bread. ", ", and the clouds looked like sheep. ")
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
    tale.one_of(" was happy", " smiled", " laughed", " was very proud")
    tale.one_of(" all day long.", f" and thought of {friend.name}.", " and slept well that night.", " and sang a little song.")


# --- plots -----------------------------------------------------------------------------------------------------------------

def moved(tale: Tale, hero: Person, thing: Thing) -> None:
    """One puts a thing somewhere and goes away; another moves it meanwhile. Where will the first one look?"""
    it = thing.noun
    old_spot = tale.spot()
    tale.one_of(" and went to ", f". Then {hero.he} went to ", f" before {hero.he} went to ")
    place = tale.place()
    tale.one_of(". ", " for an hour. ", " to see a friend. ")
    tale.one_of(f"While {hero.he} was away, ", "Soon after, ", "A little later, ")
    other = tale.person()
    tale.one_of(f" came in and saw the {it}. ", f" came by and found the {it}. ")
    tale.last = other
    tale.by(other)
    tale.one_of(" took it and put it ", " picked it up and hid it ", " moved it and left it ")
    new_spot = tale.spot()
    tale.one_of(". ", " for a joke. ", " to keep it safe. ")
    tale.one_of(f"When {hero.name} came back, {hero.he} looked {old_spot}, but the {it} was gone. ",
                f"In the evening {hero.name} came home. {hero.capital} looked {old_spot}, but the {it} was not there. ",
                f"At last {hero.name} came home and looked {old_spot}, but {hero.he} found nothing. ")
    tale.asks(hero, f"{other.name}, where is my {it}")
    if tale.one_of(f'"I put it {new_spot}," said {other.name}. ', f'"Look {new_spot}," said {other.name}. ',
                   f'"That is a secret," said {other.name}. ') == 2:
        tale.one_of(f"So {hero.name} looked ", f"{hero.name} looked ")
        tale.spot()
        tale.one_of(f" and then {new_spot}, and there it was. ", f", then {new_spot}, and there was the {thing}. ")
    else:
        tale.one_of(f"{hero.name} looked {new_spot}, and there it was. ", f"So {hero.name} found the {it} {new_spot}. ")
    tale.last = hero
    ending(tale, hero, other)
    tale.fact(f"Where did {hero.name} look first?", "spots", old_spot)
    tale.fact(f"Where was the {it} when {hero.name} came back?", "spots", new_spot)
    tale.fact(f"Who moved the {it}?", "people", other.name)
    tale.fact(f"Where was {hero.name} when {other.name} came?", "places", place.at)


def lost(tale: Tale, hero: Person, thing: Thing) -> None:
    """Something is lost, one asks another, who knows whom to ask."""
    it = thing.noun
    tale.by(hero)
    tale.say(" looked ")
    tale.spot()
    tale.say(" and ")
    tale.spot()
    tale.one_of(", but it was not there. ", f", but {hero.he} found nothing. ")
    tale.one_of(f"So {hero.he} asked ", f"Then {hero.he} asked ")
    adviser = tale.person()
    tale.one_of(' for help. "Ask ', '. "You should ask ')
    owner = tale.person()
    tale.one_of(f'," said {adviser.name}. "{owner.capital} is ', f'," {adviser.name} answered. "{owner.capital} is ')
    place = tale.place("at ")
    tale.say('." ')
    tale.last = None                             # "she" was the one who is asked next
    tale.goes(hero, place)
    tale.one_of(f" and found {owner.name} there. ", f" and asked {owner.name}. ")
    if tale.one_of('"I found it ', f'"I do not have it," said {owner.name}. ') == 0:
        spot, finder = tale.spot(), owner
        tale.one_of(f'," said {owner.name} and gave it back. ', f'," said {owner.name}. "Here it is." ')
    else:
        tale.one_of(f"{hero.name} went home, and there was the {it}, ", f"But at home {hero.name} found the {it} ")
        spot, finder = tale.spot(), hero
        tale.say(". ")
    tale.last = None
    ending(tale, hero, adviser)
    tale.fact(f"Who found the {it}?", "people", finder.name)
    tale.fact(f"Where was the {it}?", "spots", spot)
    tale.fact(f"Who told {hero.name} to ask {owner.name}?", "people", adviser.name)
    tale.fact(f"Where was {owner.name}?", "places", place.at)


def gift(tale: Tale, hero: Person, thing: Thing) -> None:
    """A present is hidden, found, and then shown around or put away by its new owner."""
    it = thing.noun
    friend = tale.person()
    tale.say(f": {thing.a}. ")
    tale.by(hero)
    if tale.one_of(" had wrapped it in paper. ", " had bought it ") == 1:
        place = tale.place("at ")
        tale.say(". ")
        tale.fact(f"Where did {hero.name} buy the {it}?", "places", place.at)
    tale.by(hero)
    tale.one_of(" hid it ", " put it ")
    spot = tale.spot()
    tale.one_of(f" and called {friend.name}. ", f" and waited for {friend.name}. ")
    tale.last = None
    tale.one_of(f"Soon {friend.name} came in. ", f"{friend.name} came and looked around. ")
    tale.says(hero, f"Look {spot}")
    tale.one_of(f"{friend.name} looked {spot} and found the {it}. ", f"So {friend.name} found the {thing}. ")
    tale.last = friend
    tale.says(friend, "Thank you")
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
    if tale.one_of(f'"I like your {wish.noun}," said {hero.name}. "Will you take my {thing.noun} for it?" ',
                   f'"I like your {thing.noun}," said {other.name}. "Will you take my {wish.noun} for it?" ') == 0:
        answers = other
    else:
        answers = hero
    agreed = tale.one_of(f'"Yes," said {answers.name}, and they traded. ', f'"No," said {answers.name}. "I want to keep it." ',
                         f'"With pleasure," said {answers.name}, and so they traded. ') != 1
    mine, yours = (wish, thing) if agreed else (thing, wish)
    tale.last = None
    tale.one_of(f"At home {hero.name} put the {mine.noun} ", f"{hero.name} went home and put the {mine.noun} ")
    spot = tale.spot()
    tale.say(". ")
    tale.one_of(f"{other.name} took the {yours.noun} to ", f"{other.name} carried the {yours.noun} to ")
    place = tale.place()
    tale.one_of(". ", f" and played with it there. ")
    ending(tale, hero, other)
    tale.fact(f"Who has the {thing.noun} now?", "people", (other if agreed else hero).name)
    tale.fact(f"Who has the {wish.noun} now?", "people", (hero if agreed else other).name)
    tale.fact(f"Where did {hero.name} put the {mine.noun}?", "spots", spot)
    tale.fact(f"Where did {other.name} go?", "places", place.at)


def passed_on(tale: Tale, hero: Person, thing: Thing) -> None:
    """A thing is to go from the first through the second to the third, if the second lets go of it."""
    it = thing.noun
    carrier = tale.person()
    tale.say(" ")
    here = tale.place("at ")
    tale.one_of(f" and gave {carrier.him} {thing.a}. ", f". {hero.name} had {thing.a} and gave it to {carrier.name}. ")
    tale.one_of('"Please take it to ', '"This is for ')
    receiver = tale.person()
    tale.one_of(f'," said {hero.name}. "{receiver.capital} is waiting ', f'," {hero.name} said. "You will find {receiver.him} ')
    there = tale.place("at ")
    tale.say('." ')
    tale.last = None
    if tale.one_of(f"{carrier.name} went to {there.the} and gave the {it} to {receiver.name}. ",
                   f"But {carrier.name} liked the {it} too much and took it home. ",
                   f"So {carrier.name} ran to {there.the}, where {receiver.name} was waiting for the {it}. ") == 1:
        owner = carrier
    else:
        owner = receiver
        tale.fact(f"Who brought the {it} to {receiver.name}?", "people", carrier.name)
    tale.one_of(f"{owner.name} put it ", f"In the evening {owner.name} put it ")
    spot = tale.spot()
    tale.say(". ")
    tale.last = None
    ending(tale, owner, hero)
    tale.fact(f"Who has the {it} now?", "people", owner.name)
    tale.fact(f"Where is the {it} now?", "spots", spot)
    tale.fact(f"Where did {hero.name} meet {carrier.name}?", "places", here.at)
    tale.fact(f"Where did {receiver.name} wait?", "places", there.at)


def stolen(tale: Tale, hero: Person, thing: Thing) -> None:
    """An animal carries the thing away; somebody saw it; the animal wants to be paid."""
    it = thing.noun
    here = tale.place("at ")
    tale.one_of(" and forgot it. Soon a ", ". Then a ")
    animal = tale.animal()
    tale.one_of(" found it and carried it to ", " took it and hurried to ")
    there = tale.place()
    tale.one_of(". Only ", ", but ")
    witness = tale.person()
    tale.one_of(" saw it. ", " was watching. ")
    tale.last = None
    tale.says(witness, f"The {animal} took your {it} to {there.the}")
    tale.last = None
    tale.goes(hero, there)
    tale.one_of(f" and found the {animal}. ", f", and there sat the {animal}. ")
    tale.by(hero)
    tale.say(f" gave the {animal} ")
    food = tale.food()
    tale.one_of(f" and got the {it} back. ", f", and the {animal} gave back the {it}. ")
    tale.by(hero)
    tale.one_of(" took it home and put it ", " carried it home and hid it ")
    spot = tale.spot()
    tale.say(". ")
    ending(tale, hero, witness)
    tale.fact(f"Who took the {it}?", "animals", f"the {animal}")
    tale.fact(f"Where did {hero.name} leave the {it}?", "places", here.at)
    tale.fact(f"Where did {hero.name} find the {animal}?", "places", there.at)
    tale.fact(f"Who saw the {animal}?", "people", witness.name)
    tale.fact(f"What did the {animal} get?", "food", food)
    tale.fact(f"Where is the {it} now?", "spots", spot)


def lent(tale: Tale, hero: Person, thing: Thing) -> None:
    """A promise to bring something back, which is kept, or nearly."""
    it = thing.noun
    friend = tale.person()
    tale.say(" came by. ")
    tale.asks(friend, f"May I borrow your {it}")
    tale.one_of('"Yes, but bring it back ', '"Yes, if you bring it back ')
    when = tale.one_of("before dinner", "before it is dark", "tomorrow")
    tale.one_of(f'," said {hero.name}. ', f'," {hero.name} answered. ')
    tale.last = None
    tale.by(friend)
    tale.one_of(" took it to ", " carried it to ")
    place = tale.place()
    tale.one_of(" and played there with ", " and met ")
    third = tale.person()
    tale.say(". ")
    late = ("Just before dinner", "When it was getting dark", "The next day")[when]
    if tale.one_of(f"{late} {friend.name} came back with the {it}. ", f"{late} {friend.name} came back without the {it}. ") == 1:
        tale.one_of(f'"{third.name} has it," said {friend.name}. ', f'"I gave it to {third.name}," said {friend.name}. ')
        owner = third
        tale.last = None
    else:
        owner = hero
        tale.says(friend, "Here it is")
    tale.last = None
    ending(tale, owner, friend)
    tale.fact(f"Who has the {it} now?", "people", owner.name)
    tale.fact(f"Who borrowed the {it}?", "people", friend.name)
    tale.fact(f"Where did {friend.name} take the {it}?", "places", place.at)
    tale.fact(f"Whom did {friend.name} meet?", "people", third.name)


# How each plot begins, and how it goes on. No beginning is the beginning of another: by it a reader knows the plot.
PLOTS = (("{hero} put {his} {thing} ", moved),
         ("{hero} could not find {his} {thing}. ", lost),
         ("{hero} had a present for ", gift),
         ("{hero} had {a_thing}, and ", traded),
         ("{hero} met ", passed_on),
         ("{hero} left {his} {thing} ", stolen),
         ("{hero} was playing with {his} {thing} when ", lent))
