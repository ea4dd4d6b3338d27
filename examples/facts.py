"""Twenty short passages of made-up facts, and questions that say them in other words."""

from __future__ import annotations

PASSAGES = [
    "Mira Tolland keeps eleven beehives on the roof of the old post office. The honey is sold on Fridays.",
    "The ferry to Skarn Island leaves from pier nine. It carries no cars in winter, and dogs travel free.",
    "Professor Adeyemi's lecture on tidal power was moved to the chapel. Students brought their own chairs.",
    "The village of Orrow rebuilt its mill after the flood of 1911. The wheel is made of larch.",
    "Jonas Weil repairs violins in a workshop above the bakery. He learned the trade from his aunt.",
    "Platform four of the northern station has been closed since March. A crack was found under the rails.",
    "The museum's oldest object is a bronze whistle shaped like a heron. Nobody knows who made it.",
    "Councillor Petra Lund voted against the new car park. She wanted a playground in its place.",
    "The bridge at Kessel opens twice a day for sailing boats. Its keeper lives in the tower.",
    "A gang of otters has moved into the harbour basin. Fishermen complain about torn nets.",
    "The choir rehearses in the swimming hall because of the echo. Concerts are held in June.",
    "Doctor Imre Sato treats horses and, on Tuesdays, parrots. His practice is behind the school.",
    "The lighthouse of Grim Point was painted red in error. The council left it so, and tourists like it.",
    "Old Hanna's recipe for plum soup calls for a spoon of mustard. She never wrote it down.",
    "The night bus skips the cemetery stop when it rains. Drivers say the road floods there.",
    "The telescope on Mount Varr was built by retired miners. It is open to the public on clear nights.",
    "A meteorite the size of a walnut fell into the rectory garden. The priest uses it as a paperweight.",
    "The chess club meets in the ice-cream parlour. Losing players buy the next round of vanilla.",
    "The town's only traffic light was a gift from its sister city. It has been green since August.",
    "The archive stores its maps in a former bank vault. The key hangs in the mayor's kitchen.",
]
QUESTIONS = [
    ("Where does Mira Tolland have her bees?", "roof of the old post office"),
    ("From which pier does the boat to Skarn Island depart?", "pier nine"),
    ("To which building was the talk about tidal energy relocated?", "moved to the chapel"),
    ("Which wood is the mill wheel in Orrow made from?", "made of larch"),
    ("Who taught Jonas Weil to mend violins?", "from his aunt"),
    ("Why is platform four shut?", "crack was found under the rails"),
    ("What animal does the museum's oldest piece look like?", "shaped like a heron"),
    ("What did Petra Lund want instead of the parking lot?", "wanted a playground"),
    ("On which day are parrots seen by the vet?", "on Tuesdays, parrots"),
    ("What unusual ingredient goes into Hanna's soup?", "spoon of mustard"),
    ("Who constructed the telescope on Mount Varr?", "built by retired miners"),
    ("Where can the key to the map archive be found?", "in the mayor's kitchen"),
    ("Which animals trouble the fishermen?", "gang of otters"),
    ("Why does the choir practise in the pool building?", "because of the echo"),
    ("How often does the Kessel bridge let boats through?", "opens twice a day"),
    ("By what mistake did the lighthouse at Grim Point get its colour?", "painted red in error"),
    ("In what weather does the night bus not stop at the cemetery?", "when it rains"),
    ("What does the clergyman do with the stone from space?", "as a paperweight"),
    ("What do defeated chess players have to pay for?", "next round of vanilla"),
    ("Who donated the town's traffic light?", "gift from its sister city"),
]
TEXT = "\n\n".join(PASSAGES)
