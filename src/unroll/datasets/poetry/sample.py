"""Verse of our own: a grammar whose words carry their stresses, so that every line scans and the right lines rhyme.

Lines are iambic: weak and strong syllables by turns, 8 or 6 of them. In a stress pattern 1 is a strong syllable, 0 a
weak one, and x one that may be either. A poem keeps to a part of the words, and may have a refrain.
"""

import re
from collections.abc import Iterator
from functools import cache

import numpy as np

# A kind of word and a stress pattern, then the words.
LEXICON_TEXT = """
noun 1: night light flight sight height day way clay bay spray stone bone throne moon tune June noon sea tree bee key
    knee rain plain lane grain chain sky eye sigh cry hill mill rill sill quill deep sleep keep steep sheep air hair
    stair prayer fair snow bow crow row glow gold fold wold cold mold flame name game shame frame bell well spell dell
    shell wing spring ring king string sand hand land band strand door shore floor oar roar fire choir spire lyre
    bread thread bed head lead wood flood hood rose nose song throng tongue breeze heart cart art dream stream
    gleam beam gong wrong hour
    wind ship child bird road field lamp ghost cloud frost storm dawn dusk bridge wheel hearth wolf hare moth fern
noun 10: river meadow shadow window lantern garden evening morning winter summer autumn silence thunder ocean harbour
    castle tower feather whisper willow raven sparrow miller sailor weaver piper soldier mother father sister brother
    daughter candle mirror music memory hunger thistle clover barley ember marble copper velvet shepherd kingdom cradle
    forest mountain valley island anchor sorrow laughter orchard chapel stranger fiddle pebble acorn heather
noun 01: delight repose return retreat desire refrain divide command bouquet
noun 010: tomorrow horizon companion remembrance procession cathedral
noun 101: nightingale lullaby wilderness melody harmony tapestry solitude
nouns 1: stars winds birds roads fields lamps ghosts clouds storms hills bells wings stones waves songs ships hands eyes
    dreams years words doors bones thorns reeds drums boats hounds trees seas leaves streams things kings strings
nouns 10: rivers meadows shadows windows lanterns gardens feathers whispers candles mirrors valleys mountains sailors
    soldiers daughters children ashes branches embers ravens sparrows blossoms petals fiddles
quality 1: bright white light grey gay lone sweet deep steep still chill fair bare rare low slow cold old bold tame lame
    wild mild red dead good strong long young pale dark soft blue green warm thin tall blind
quality 10: silver golden crimson hollow broken silent gentle weary bitter lonely ancient purple tender frozen wingèd
    blessèd wickèd shining burning drowsy merry sudden hidden idle crooked humble restless wooden dusty narrow
quality 01: alone serene forlorn sublime remote unknown
quality 010: belovèd unbroken forgotten enchanted deserted untroubled
went 1: lay lit sped fled bled rang sang sprang hung clung swung shone flew blew grew drew rose froze fell crept slept
    wept stood came stayed prayed played strayed ran rolled turned burned leapt knelt
went 10: wandered lingered glittered trembled tumbled whispered listened waited faded drifted vanished thundered
    flickered shivered sounded darkened
went 01: arose awoke remained returned appeared
saw 1: saw heard held found lost loved kept left knew sang called brought sought caught bore wore tore crossed kissed
    dreamed built burned broke shook took watched
saw 10: carried followed gathered scattered covered answered borrowed guarded painted measured whispered opened
saw 01: forgot beheld forsook awoke adored concealed
saw 010: remembered discovered awakened
a 0: the the the the a a my her his our their thy each no that this
the 0: the the the my her his our their thy no
in x: in on by with from to through past near
in 01: above beneath upon among along beyond across behind beside against around
in 10: over under after
of x: of of for like
and x: and and and but yet for or so
when x: when where while till as though since if
I x: I we they she he you who
O x: O ah lo oh
now x: now then there here still once
so 10: never ever softly slowly gently only always often sweetly wildly
so 01: again away alone below
come 1: come sing sleep wake rise hark go weep ring dance drink wait
"""
RHYMES_TEXT = """
night light flight sight height delight bright white | day way clay bay spray bouquet gay grey lay away |
stone bone throne lone alone unknown | moon tune June noon | sea tree bee key knee | flew blew grew drew |
rain plain lane grain chain refrain again | hill mill rill sill quill still chill | deep sleep keep steep sheep |
air hair stair prayer fair bare rare | snow bow crow row glow low slow below | gold fold wold cold mold old bold |
flame name game shame frame tame lame came | bell well spell dell shell fell | wing spring ring king string |
sand hand land band strand command | door shore floor oar roar | fire choir spire lyre desire | rang sang sprang |
bread thread bed head lead red dead sped fled bled | hung clung swung tongue young | wood hood good stood |
rose nose arose froze repose | song throng gong wrong long strong | crept slept wept leapt | dream stream gleam beam |
sky eye sigh cry | stayed prayed played strayed | heart cart art
"""
# A line is OPEN, which begins a thought, or ON, which goes on: phrases, kinds of word, and words as they are.
PHRASES_TEXT = """
OPEN: THING DEED | I DEED | PLACE THING went | now THING DEED | PLACE I saw THING | so I DEED | O quality noun |
    O noun of THINGS | how quality was THING | THING was quality | come so PLACE | come PLACE | THING and THING |
    there went THING | so went THING PLACE | PLACE went THING
ON: and DEED | and THING DEED | when THING DEED | PLACE | PLACE and PLACE | and PLACE THING went |
    of THINGS and THINGS | and I DEED | when I DEED | and quality was THING | when quality was THING |
    THINGS and THINGS | and so DEED | and no noun saw THING
DEED: went | went so | so went | went PLACE | saw THING | saw THING PLACE | so saw THING | went so PLACE
THING: a noun | a quality noun | the nouns | the quality nouns | a noun of THINGS
THINGS: a noun | the nouns | nouns | quality nouns | quality noun
PLACE: in a noun | in a quality noun | in the nouns | in quality nouns | in quality noun
"""
STANZAS = (("AABB", (8, 8, 8, 8)), ("ABAB", (8, 6, 8, 6)), ("ABCB", (8, 6, 8, 6)), ("ABAB", (8, 8, 8, 8)))
ENDINGS = ((",", ",", "", ";"), (",", ";", ",", "."), (",", ",", ":", "."), (".", ",", "!", "."), (",", "?", "", "!"))
REFRAIN = 0.3  # share of poems in which every stanza ends in the same line
KEPT = 0.5  # share of the words that one poem keeps to


def _split(text: str) -> list[list[str]]:
    return [part.split() for part in " ".join(text.split()).split(" | ")]


Words = dict[tuple[str, str], list[str]]
"""Words by kind and stress pattern."""
LEXICON: Words = {
    (kind, stress): words.split()
    for kind, stress, words in re.findall(r"^(\w+) ([01x]+): (.+(?:\n    .+)*)$", LEXICON_TEXT, re.MULTILINE)
}
PHRASES = {name: _split(parts) for name, parts in re.findall(r"^(\w+): (.+(?:\n    .+)*)$", PHRASES_TEXT, re.MULTILINE)}
KINDS = {kind: [stress for other, stress in LEXICON if other == kind] for kind, _ in LEXICON}
RHYMES = _split(RHYMES_TEXT)
FREE = frozenset(kind for kind, stress in LEXICON if stress in ("0", "x"))  # of these a poem uses all


Line = tuple[tuple[str, str], ...]
"""A line that scans, before its words are chosen: kind (or a word as it is) and stress pattern of each word."""


def write(characters: int, rng: np.random.Generator) -> str:
    """Poems until there are so many characters; stanzas stand an empty line apart, poems two."""
    poems, length = [], 0
    while length < characters:
        poems.append(_poem(rng))
        length += len(poems[-1]) + 3
    return "\n\n\n".join(poems) + "\n"


def scans(stresses: str) -> bool:
    """Whether weak and strong syllables stand by turns, the first one weak."""
    return all(stress in ("x", "01"[place % 2]) for place, stress in enumerate(stresses))


@cache
def lines(phrase: str, syllables: int) -> dict[tuple[str, str], list[list[Line]]]:
    """Every line that is a ``phrase``, by kind and stress pattern of its last word; the same kinds in one list."""
    by_end: dict[tuple[str, str], dict[tuple[str, ...], list[Line]]] = {}
    for line in _fill((phrase,), "", syllables):
        by_end.setdefault(line[-1], {}).setdefault(tuple(kind for kind, _ in line), []).append(line)
    return {end: list(by_kinds.values()) for end, by_kinds in by_end.items()}


def _fill(todo: tuple[str, ...], before: str, syllables: int) -> Iterator[Line]:
    """Every way to go on after the stresses ``before`` with phrases and kinds ``todo``, up to the last syllable."""
    if len(before) + len(todo) > syllables or not scans(before):
        return
    if not todo:
        yield from [()] if len(before) == syllables else []
    elif todo[0] in PHRASES:
        for parts in PHRASES[todo[0]]:
            yield from _fill((*parts, *todo[1:]), before, syllables)
    else:
        for stress in KINDS.get(todo[0], ["x"]):
            yield from (((todo[0], stress), *rest) for rest in _fill(todo[1:], before + stress, syllables))


def _poem(rng: np.random.Generator) -> str:
    words = {
        key: texts
        if key[0] in FREE
        else sorted(rng.choice(texts, max(2, round(KEPT * len(texts))), replace=False).tolist())
        for key, texts in LEXICON.items()
    }
    scheme, feet = STANZAS[int(rng.integers(len(STANZAS)))]
    refrain = ""
    stanzas: list[str] = []
    for _ in range(int(rng.integers(3, 8))):
        stanza = _stanza(words, scheme, feet, refrain, rng)
        if not stanzas and rng.random() < REFRAIN:
            refrain = stanza[-1]
        ends = ENDINGS[int(rng.integers(len(ENDINGS)))]
        stanzas.append("\n".join(line + end for line, end in zip(stanza, ends, strict=True)))
    return "\n\n".join(stanzas)


def _stanza(words: Words, scheme: str, feet: tuple[int, ...], refrain: str, rng: np.random.Generator) -> list[str]:
    """One line for each letter of ``scheme``: the same letter, the same rhyme, another word."""
    used = {refrain.split()[-1]} if refrain else set()
    given = [family for family in RHYMES if used & set(family)]
    others = [RHYMES[at] for at in rng.permutation(len(RHYMES)) if RHYMES[at] not in given]
    families = dict(zip([scheme[-1], *sorted(set(scheme) - {scheme[-1]})], given + others, strict=False))
    stanza: list[str] = []
    for number, (letter, syllables) in enumerate(zip(scheme, feet, strict=True)):
        if refrain and number == len(scheme) - 1:
            stanza.append(refrain)
            break
        ways = lines("OPEN" if number % 2 == 0 else "ON", syllables)
        rhymes = [word for word in families[letter] if word not in used]
        ends = [(key, word) for key in ways for word in rhymes if word in LEXICON.get(key, ())]
        key, last = ends[int(rng.integers(len(ends)))]
        used.add(last)
        alike = ways[key][int(rng.integers(len(ways[key])))]
        stanza.append(_line(words, alike[int(rng.integers(len(alike)))], last, rng))
    return stanza


def _line(words: Words, line: Line, last: str, rng: np.random.Generator) -> str:
    options = [words.get(key, [key[0]]) for key in line[:-1]]
    chosen = [of_kind[int(rng.integers(len(of_kind)))] for of_kind in options]
    text = re.sub(r"\ba(?= [aeiou])", "an", " ".join([*chosen, last]))
    return text[0].upper() + text[1:]
