"""Made-up tweets to made-up airlines, from a grammar of our own.

What makes them hard: praise that is meant as blame, negation on both sides, questions full of unhappy words, labels on
which people would differ, and typing errors. ``{name}`` in a phrase stands for one of the phrases under that name.
"""

import re

import numpy as np

LABELS = ("negative", "neutral", "positive")
MISJUDGED = 0.15  # share of labels given by someone who read too fast
REPEATED = 0.012  # share of texts that were sent before
AIRLINES = {  # with each one's shares of the three labels, about 63, 21 and 16 % together
    "@NorthlineAir": (0.52, 0.28, 0.20),
    "@VelaAirways": (0.60, 0.22, 0.18),
    "@skycoastal": (0.62, 0.21, 0.17),
    "@JetMeridian": (0.66, 0.19, 0.15),
    "@fly_altamira": (0.69, 0.18, 0.13),
    "@Coastline_Air": (0.70, 0.17, 0.13),
}
# A name, and its phrases between bars; a phrase that stands twice is twice as likely, and - is no words at all.
GRAMMAR_TEXT = """
negative: {plaint} | {plaint}{stop} {plaint} | {plaint}{stop} {anger} | {plaint}{stop} {anger} | {anger}{stop}
    {plaint} | {irony}{stop} {plaint} | {irony} | {asked}? {anger} | {praise} but {plaint} | {thanks} but {plaint} |
    last time {praise}, now {plaint} | {praise}? {plaint} | {others} say {praise}{stop} {plaint} | so far from
    {praise}: {plaint}
positive: {praise} {cheer} | {thanks} {cheer} | {thanks} {praise} {cheer} | {praise}. {thanks} {cheer} |
    {relief} {cheer} | {relief}. {thanks} {cheer} | {relief} {cheer} | {plaint} but {praise} {cheer} |
    last time {plaint}, now {praise} {cheer} | {others} say {plaint}{stop} {praise} {cheer} |
    {plaint}? not with you, {praise} {cheer}
neutral: {asked}? | {asked}? | {hello} {asked}? | {asked}? {thanks} | {request} | {request}. {asked}? | {news} |
    {plain} | {plain}. {asked}? | {request}. {plain} | if {plaint}, {asked}? | {others} say {plaint}, is that so? |
    {others} say {praise}, is that so? | {my} flight {number} is {late}, {asked}? | {late_or_not} or not? {asked}?
others: people | my friends | they | the papers | reviews | my parents
plaint: {my} flight {number} is {late} {again} | {my} flight from {city} was {late} {why} | you {lost} my {thing}
    {when} | still {waiting} for my {thing} {when} | on hold for {time} and {nobody} {answers} | {nobody} at the
    {place} {answers} | your {staff} in {city} {was} {rude} | missed my connection in {city} {why} | stuck {where}
    for {time} {why} | your {site} is {broken} {again} | {time} {where} and {no} {comfort} | never got {owed} {when}
    | i was {late} {again} and {nobody} offered {owed} | the {staff} did not {help} {at_all} | the {seat} was
    {dirty} and {no} {comfort} | you {charged} me for {charge} {why} | {not_good} at all about {number} | my {thing}
    came out {damaged} | this is the {ordinal} time {my} flight is {late}
anger: {worst} {service} ever | {never} {fly} with you {again} | this is {awful} | {not_good} | so {cross} right now
    | do better | {service} is {awful} | get it together | what a {joke} | fix this | you lost a {loyal} customer |
    i want {owed} | {awful} | no excuse | unbelievable
irony: great, another {delay} | {thanks} for losing my {thing} | thanks for nothing | love {waiting} {where} for
    {time} | nice job {losing} my {thing} | awesome, {my} flight is {late} {again} | best part of my day: {time} on
    hold | wow, so {helpful} to hang up on me | love how {nobody} {answers} | really enjoying my {time} {where} |
    amazing how {helpful} your {staff} {was}. not | good to know my {thing} is having a nice trip without me
praise: the {staff} on {number} {was} {great} | {great} {service} from {city} to {city} | your {staff} in {city}
    went out of their way to {help} | what a {great} {crewnoun} | {great} {seat} and {great} {snack} | smooth flight
    to {city} today | {love} the new {seat} | {name} at the {place} was {great} | you {rock} | {best} {service} ever
    | always {great} | got {owed} in {time}, {great} | my {staff_one} was so {helpful} | {love} flying with you
relief: never had a {delay} with you | no {delay} and no lost {thing} today | {number} was not {late} for once |
    could not be happier with the {service} | you found my {thing} {fast} | can not complain about the {service} |
    thought i {lost} my {thing} but your {staff} {fast} found it | after a {delay} {name} got me home, not {cross}
    any more | nothing bad to say about {number} | landed early, no {delay} | your {staff} {was} not {rude}, they
    {help_did} | {number} was never {late} {when} | the {seat} was not {dirty} at all | not {waiting} {where} for
    {time}, not once
thanks: thanks | thank you | thanks so much | thx | many thanks | thank u | thanks {name} | ty
cheer: - | - | ! | !! | :) | #{tag} | ! you {rock} | {smile}
smile: 😊 | 👍 | ❤️ | ✈️ | 🙌
asked: is flight {number} {late_or_not} | how do i {change} my {booking} | can i {change} my {booking} online | do
    you fly from {city} to {city} | what is the {rule} for a {thing} | where do i report a {lost_adj} {thing} | when
    will {number} leave {city} | any {seat_kind} left on {number} | can you check if {number} is {late_or_not} | is
    there a {charge} for a second {thing} | will the {storm} affect {number} | what time does the {place} in {city}
    open | who do i ask about {owed} | does the {staff_one} take cards on board
request: please {follow} so i can dm my {booking} | need to {change} my {booking} | looking for the {rule} on a
    {thing} | just sent you a dm about my {booking} | please check dm | we are {count} people on {number} | trying
    to book {city} to {city} for {day} | i would like to {change} my {booking} because of the {storm}
news: {airline} adds {city} to {city} from {day} http://t.co/{link} | {airline} {shares} http://t.co/{link} | rt:
    {airline} to test new {seat} http://t.co/{link} | {storm} in {city}: {airline} waives the change fee
    http://t.co/{link} | photo: {number} over {city} http://t.co/{link}
plain: on my way to {city} | boarding {number} now | flying {city} to {city} on {day} | at the {place} in {city} | i
    sent the {form} {when} | see you {day} | ok, will do | my {booking} is for {day} | it was {number} from {city}
hello: hi, | hello, | hey, | good morning, | quick question:
my: my | our | the | my | this
late: delayed | cancelled | late | {time} late | cancelled flightled | delayed {time} | overbooked | diverted
late_or_not: delayed | on time | cancelled | still on | full | late | leaving today
delay: delay | cancellation | late flight | missed connection | gate change | long line
again: again | - | for the {ordinal} time | today | once more | and no one tells us why | -
when: yesterday | since {day} | after {time} | last {day} | - | {count} days ago | today
why: because of you | for no reason | - | and no one knows why | due to {cause} | with no {comfort} | -
cause: crew | a mechanical issue | weather that i can not see | late crew | paperwork | de-icing | maintenance
lost: lost | misplaced | sent | forgot | left
losing: losing | breaking | forgetting | misplacing
lost_adj: lost | damaged | late | forgotten | broken
thing: bag | luggage | suitcase | stroller | guitar | jacket | laptop | phone | car seat | carry-on | dog
waiting: waiting | sitting | standing | stuck waiting
nobody: nobody | no one | not one person | no agent | not a soul
answers: answers | picks up | knows anything | cares | can help | replies | is there
place: gate | desk | counter | lounge | call center | check-in | baggage office | kiosk
staff: crew | staff | agents | gate agents | flight attendants | team | pilots
staff_one: agent | flight attendant | pilot | gate agent | steward
was: was | were | is | are
rude: rude | so rude | no help | useless | clueless | not helpful | unprofessional | lazy
where: on the tarmac | at the gate | in {city} | on the plane | in line | at baggage claim | on the runway
site: website | app | site | phone system | booking page | online check-in
broken: down | broken | useless | a mess | not working | impossible to use
no: no | not even | still no | zero
comfort: water | food | update | explanation | info | apology | heat | power | wifi | announcement
owed: a refund | my refund | a voucher | my points | an answer | a reply | my money back | a hotel
help_did: helped | rebooked us | found a seat for us | explained | got us home
help: help | rebook us | find a seat for us | explain | lift a finger | get us home
at_all: at all | - | one bit | when i asked
seat: seat | cabin | plane | row | screen | tray | lounge
seat_kind: seats | aisle seats | window seats | upgrades | award seats
dirty: dirty | broken | wet | sticky | freezing | filthy | too small
charged: charged | billed | double charged | overcharged
charge: fee | change fee | bag fee | charge | seat fee
damaged: damaged | open | soaked | in pieces | crushed | without its wheels
ordinal: second | third | fourth | 2nd | 3rd | fifth
worst: worst | the worst | poorest | most awful | lousiest
service: service | customer service | airline | flight | experience | support
never: never | will never | not going to | last time i
fly: flying | fly | book | travel
awful: ridiculous | unacceptable | terrible | a disgrace | awful | pathetic | horrible | shameful | a fail
not_good: not happy | not cool | not good | not impressed | not acceptable | not ok | not great
cross: angry | frustrated | disappointed | upset | tired of this | annoyed | mad
joke: joke | mess | nightmare | disaster | waste of time | fiasco
loyal: loyal | gold | good | 10 year | frequent
helpful: helpful | kind | friendly | sweet | patient | quick
great: great | amazing | awesome | fantastic | wonderful | lovely | excellent | so good | top | perfect
crewnoun: crew | flight | team | trip | view | surprise | upgrade
snack: snacks | coffee | food | wifi | music | movies
love: love | loving | really like | enjoyed | so happy with
rock: rock | are the best | made my day | rule | are awesome
best: best | the best | friendliest | finest | smoothest
fast: quickly | so fast | in no time | within the hour
change: change | cancel | upgrade | confirm | move | add a {thing} to
booking: flight | reservation | seat | ticket | booking | name on the ticket | connection
rule: limit | policy | fee | size | weight | rule
storm: storm | snow | fog | strike | ice | rain
follow: follow | follow me | follow back
shares: names a new chief | orders {count}0 planes | shares up {count}% | opens a lounge in {city} | updates its app
form: form | receipt | claim | photos | email
day: monday | tuesday | wednesday | thursday | friday | saturday | sunday | tomorrow | next week | march
count: 2 | 3 | 4 | 5 | 6 | 8
stop: . | ! | , | ... | !! | .
tag: happy | customerservice | bestcrew | travel | flyhappy | avgeek
name: Maren | Tobias | Keisha | Ruth | Oskar | Priya | Lionel | Dee | Anouk | Sam
city: Denver | Boston | Tulsa | Reno | Austin | Chicago | JFK | LAX | SFO | Omaha | Miami | Newark | PHX
airline: northline | vela | sky coastal | meridian | altamira | coastline
"""
GRAMMAR = {
    name: tuple("" if phrase == "-" else phrase for phrase in " ".join(phrases.split()).split(" | "))
    for name, phrases in re.findall(r"^(\w+): (.+(?:\n    .+)*)$", GRAMMAR_TEXT, re.MULTILINE)
}
SLOT = re.compile(r"\{(\w+)\}")
PLACES = ("", "", "", "Denver, CO", "Boston", "somewhere over Ohio", "Tulsa", "NYC", "California")
ZONES = ("", "", "Eastern Time (US & Canada)", "Central Time (US & Canada)", "Pacific Time (US & Canada)", "Quito")


def simulate(count: int, rng: np.random.Generator) -> list[tuple[str, str, str, str, str, str]]:
    """Label, text, place, time, town and time zone of each tweet, airline by airline, the newest first."""
    rows: list[tuple[str, str, str, str, str, str]] = []
    airlines = np.sort(rng.integers(0, len(AIRLINES), count))
    times = np.datetime64("2015-02-17T00:00:00") + np.sort(rng.integers(0, 8 * 86400, count))[::-1]
    for place, (airline, time) in enumerate(zip(airlines, times, strict=True)):
        handle, shares = list(AIRLINES.items())[airline]
        if rows and rng.random() < REPEATED:
            label, text = rows[int(rng.integers(0, place))][:2]
        else:
            label = str(rng.choice(LABELS, p=shares))
            text = f"{handle} {_typed(_expand(label, rng), rng)}".strip()
        if rng.random() < MISJUDGED:
            label = str(rng.choice(LABELS, p=shares))
        where = f"[{rng.uniform(25, 48):.4f}, {rng.uniform(-122, -70):.4f}]" if rng.random() < 0.07 else ""
        created = f"{str(time).replace('T', ' ')} -0800"
        rows.append((label, text, where, created, str(rng.choice(PLACES)), str(rng.choice(ZONES))))
    return rows


def _expand(name: str, rng: np.random.Generator) -> str:
    """A phrase of the grammar with every slot filled."""
    match name:
        case "number":
            return f"{rng.choice(['', 'flight ', '#', 'fl '])}{rng.integers(12, 6000)}"
        case "time" if rng.random() < 0.4:
            return f"{rng.integers(2, 60)} {rng.choice(['minutes', 'mins', 'min'])}"
        case "time":
            return f"{rng.choice(['', 'over ', 'almost '])}{rng.integers(2, 12)} {rng.choice(['hours', 'hrs', 'hrs'])}"
        case "link":
            return "".join(rng.choice(list("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"), 10))
        case _:
            phrases = GRAMMAR[name]
            return SLOT.sub(lambda slot: _expand(slot[1], rng), phrases[int(rng.integers(len(phrases)))])


def _typed(text: str, rng: np.random.Generator) -> str:
    """As typed on a phone: capitals, slips, a line break, the odd quotation mark."""
    words = [_slip(word, rng) if len(word) > 3 and rng.random() < 0.02 else word for word in text.split()]
    if len(words) > 5 and rng.random() < 0.03:
        place = int(rng.integers(2, len(words) - 1))
        words[place] = f'"{words[place]}"'
    text = re.sub(r" ([.,!?])", r"\1", " ".join(words))
    text = re.sub(r"\bnot\b", lambda _: "not" if rng.random() < 0.8 else "NOT", text)
    text = re.sub(r"\b(did|could|was|can) not\b", lambda match: f"{match[1].removesuffix('n')}n't", text)
    shape = rng.random()
    if shape < 0.6:
        text = re.sub(r"(^|[.!?] )([a-z])", lambda match: match[1] + match[2].upper(), text)
    elif shape > 0.97:
        text = text.upper()
    return text.replace(". ", ".\n", 1) if rng.random() < 0.02 else text


def _slip(word: str, rng: np.random.Generator) -> str:
    """One letter lost, doubled, or swapped with the next."""
    at = int(rng.integers(1, len(word) - 1))
    forms = (
        word[:at] + word[at + 1 :],
        word[:at] + word[at] + word[at:],
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
    )
    return forms[int(rng.integers(3))]
