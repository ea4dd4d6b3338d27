"""Questions about made-up people, towns, companies ..: what a passage says, asked for in other words."""

from __future__ import annotations

import random
from dataclasses import dataclass

from agentcompress.calibration.items import Item, Writer

_FIRST = (
    "Ada Bruno Clara Dario Edith Felix Greta Hugo Ilse Jonas Karin Lorenz Mira Nils Olga Pavel Rosa Sven Tilda Viktor"
)
_LAST = (
    "Abendroth Bellweather Castellane Dunmore Eskelund Farquhar Grimaldo Hollister Ingram Jankowski Kerrigan Lindqvist "
    "Marchetti Norwood Okafor Pemberton Quiroga Rasmussen Silvestri Thornbury Ulanov Vasquez Whitlock Yarborough Zeller"
)
_PLACE = "Alder Brack Corn Dun Elm Fair Glen Hart Iron Kings Lang Mill North Oak Pen Raven Stone Thorn Wald West"
_END = "bridge brook bury by dale field ford gate ham haven hurst mere mouth port stead ton vale wick wood worth"
_GOODS = (
    "ceramic tiles, optical lenses, canned sardines, tram axles, printing ink, church organs, felt hats, "
    "marine engines, barometers, bicycle chains, roofing slate, "
    "herbal liqueur, piano wire, sugar beet, tin toys, surgical gloves"
)
_FIELDS = (
    "the migration of eels, medieval bookbinding, cloud chamber physics, alpine lichens, tidal harmonics, "
    "Coptic grammar, glacial varves, beekeeping, number theory, plague epidemiology, canal engineering, folk harmonics"
)


@dataclass(frozen=True)
class Relation:
    """One thing a passage may say: `{name}` and `{value}` stand in the sentences, `{name}` in the questions."""

    values: str
    says: tuple[str, ...]
    asks: tuple[str, ...]


_RELATIONS: dict[str, tuple[Relation, ...]] = {
    "person": (
        Relation(
            "place",
            (
                "{name} was born in {value}, the youngest of five children.",
                "A native of {value}, {name} left school at 15.",
            ),
            ("Where did {name} come from?", "In which town did {name} come into the world?"),
        ),
        Relation(
            "year",
            ("{They} died of pneumonia in {value}.", "After a long illness {name} passed away in {value}."),
            ("When did {name}'s life end?", "In what year was the death of {name}?"),
        ),
        Relation(
            "field",
            ("{Their} doctoral thesis dealt with {value}.", "{They} made a name with a monograph on {value}."),
            ("What did {name} do research on?", "What was the subject of {name}'s scholarly work?"),
        ),
        Relation(
            "person",
            (
                "In the same year {they} married {value}.",
                "{They} was engaged for two years before the wedding with {value}.",
            ),
            ("Who was {name}'s spouse?", "Whom did {name} wed?"),
        ),
        Relation(
            "goods",
            ("The family's fortune came from {value}.", "{Their} father had grown rich with {value}."),
            ("How had {name}'s family made its money?", "What trade was behind the wealth of {name}'s parents?"),
        ),
    ),
    "town": (
        Relation(
            "count",
            ("At the last census {value} inhabitants were registered.", "It is home to {value} people."),
            ("What is the population of {name}?", "How many residents does {name} have?"),
        ),
        Relation(
            "person",
            ("The mayor since the spring election is {value}.", "The council is headed by {value}."),
            ("Who governs {name}?", "Who runs the municipal administration of {name}?"),
        ),
        Relation(
            "goods",
            ("Its largest employer makes {value}.", "Since the railway arrived, most families have lived off {value}."),
            ("What industry does {name} depend on?", "What is manufactured in {name}?"),
        ),
        Relation(
            "year",
            ("A fire destroyed the old quarter in {value}.", "Most of the centre burnt down in {value}."),
            ("When was {name} ravaged by flames?", "In which year did a blaze hit {name}?"),
        ),
        Relation(
            "number",
            ("The church tower is {value} metres tall.", "Its steeple rises {value} metres above the square."),
            ("How high is the highest building of {name}?", "What is the height of {name}'s church?"),
        ),
    ),
    "company": (
        Relation(
            "person",
            ("It was founded by {value} with borrowed money.", "The first workshop was set up by {value}."),
            ("Who started {name}?", "Who established the firm {name}?"),
        ),
        Relation(
            "place",
            ("The head office stands in {value}.", "Its board has met in {value} ever since."),
            ("Where is {name} based?", "In what place does {name} have its headquarters?"),
        ),
        Relation(
            "goods",
            ("Today it sells {value} in forty countries.", "It is best known for {value}."),
            ("What does {name} produce?", "Which goods are offered by {name}?"),
        ),
        Relation(
            "year",
            (
                "Creditors forced it into liquidation in {value}.",
                "It went bankrupt in {value} and was sold off in parts.",
            ),
            ("When did {name} become insolvent?", "In which year did {name} fail?"),
        ),
        Relation(
            "count",
            ("On its best days {value} workers passed the gates.", "The payroll listed {value} names."),
            ("How many people did {name} employ?", "How large was the staff of {name}?"),
        ),
    ),
    "ship": (
        Relation(
            "place",
            ("Her keel was laid down at {value}.", "She left the slipway of {value} two months late."),
            ("Where was the {name} built?", "Which shipyard town constructed the {name}?"),
        ),
        Relation(
            "person",
            ("On her last voyage she was commanded by {value}.", "Her captain was {value}, a stern man of sixty."),
            ("Who was the master of the {name}?", "Who had command aboard the {name}?"),
        ),
        Relation(
            "goods",
            ("Her holds were full of {value}.", "She was bound for the colonies with {value}."),
            ("What freight did the {name} carry?", "What was the cargo of the {name}?"),
        ),
        Relation(
            "number",
            ("With a fair wind she reached {value} knots.", "Sea trials gave a mean of {value} knots."),
            ("How fast was the {name}?", "What speed could the {name} make?"),
        ),
        Relation(
            "year",
            ("She foundered off the cape in {value} with all hands.", "In {value} she struck a reef and was lost."),
            ("When did the {name} sink?", "In what year was the {name} wrecked?"),
        ),
    ),
}
_FILLERS = (
    "Local newspapers of the time hardly mention it.",
    "Several letters in the county archive bear this out.",
    "Opinions on the matter were divided, and still are.",
    "A plaque put up by the historical society recalls those days.",
    "The winter that followed was the hardest in living memory.",
    "Later accounts contradict each other on nearly every point.",
    "Visitors were rare, and the roads were poor until well after the war.",
    "There had been earlier attempts, none of which lasted.",
    "Much of this was only found out when the papers were opened.",
    "It took the better part of a decade before the debts were settled.",
    "A first-hand report survives in the diary of a travelling salesman.",
    "The arrangement suited everybody, at least for some years.",
)


def ask_fact(rng: random.Random) -> Item:
    """Make twenty passages, most of them about things of the same sort, and a question that one of them answers."""
    topic = rng.choice(list(_RELATIONS))
    topics = [topic if rng.random() < 0.75 else rng.choice(list(_RELATIONS)) for _ in range(19)]
    topics.insert(rng.randrange(20), topic)
    gold = rng.choice([i for i, t in enumerate(topics) if t == topic])
    names = _draw_distinct_names(rng, topics)
    writer, asked = Writer(), ""
    for i, (sort, name) in enumerate(zip(topics, names, strict=True)):
        relations = rng.sample(_RELATIONS[sort], k=rng.randint(3, 5))
        writer.add(f"{name}: " if rng.random() < 0.7 else f"{_write_opening(rng, sort, name)} ")
        wanted = rng.choice(relations) if i == gold else None
        for relation in relations:
            sentence = _fill_sentence(rng, rng.choice(relation.says), sort, name, _draw_value(rng, relation.values))
            writer.add(f"{sentence} ", evidence=relation is wanted)
            if rng.random() < 0.5:
                writer.add(f"{rng.choice(_FILLERS)} ")
        writer.add("\n\n")
        if wanted:
            asked = rng.choice(wanted.asks).format(name=name)
    return writer.finish("fact", asked)


def _draw_distinct_names(rng: random.Random, sorts: list[str]) -> list[str]:
    names: list[str] = []
    while len(names) < len(sorts):
        name = _draw_name(rng, sorts[len(names)])
        if name not in names:
            names.append(name)
    return names


def _draw_name(rng: random.Random, sort: str) -> str:
    if sort == "person":
        return f"{rng.choice(_FIRST.split())} {rng.choice(_LAST.split())}"
    if sort == "company":
        return f"{rng.choice(_LAST.split())} {rng.choice(['& Sons', 'Works', 'Brothers', 'Manufacturing', 'Mills'])}"
    if sort == "ship":
        return f"{rng.choice(['Lady', 'Spirit of', 'Star of', 'Queen of', 'Duke of'])} {_draw_place(rng)}"
    return _draw_place(rng)


def _draw_place(rng: random.Random) -> str:
    return rng.choice(_PLACE.split()) + rng.choice(_END.split())


def _draw_value(rng: random.Random, sort: str) -> str:
    if sort == "year":
        return str(rng.randint(1780, 1990))
    if sort == "count":
        return f"{rng.randint(1, 90)},{rng.randint(0, 999):03d}"
    if sort == "number":
        return str(rng.randint(9, 140))
    if sort in ("goods", "field"):
        return rng.choice((_GOODS if sort == "goods" else _FIELDS).split(", "))
    return _draw_name(rng, "person") if sort == "person" else _draw_place(rng)


def _write_opening(rng: random.Random, sort: str, name: str) -> str:
    what = {
        "person": "a scholar and traveller",
        "town": "a market town",
        "company": "a family firm",
        "ship": "a schooner",
    }
    return f"{name} was {what[sort]}, {rng.choice(['little known today', 'of some renown', 'now all but forgotten'])}."


def _fill_sentence(rng: random.Random, sentence: str, sort: str, name: str, value: str) -> str:
    they, their = rng.choice([("he", "his"), ("she", "her")])
    return sentence.format(
        name=name, value=value, they=they, their=their, They=they.capitalize(), Their=their.capitalize()
    )
