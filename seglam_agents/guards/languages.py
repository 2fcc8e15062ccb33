"""Which language a request is written in, as far as the reading of its numbers and money depends on it.

"1,250" is one and a quarter to half of Europe, "billion" a million millions to most of it, and "$" the money of twenty
countries. So without a locale a number in such a notation is read as English only where the request is seen to be
English: it says words that other languages do not have, and no more of theirs. Signs are, unless it is seen to be none.
"""

from __future__ import annotations

import re
from functools import lru_cache


def writes_as_english(text: str) -> bool:
    """Tell whether numbers in a text are written as in English: "1,250" is more than a thousand.

    So it is in Chinese, Japanese and Korean, too, and nothing speaks against it where there are no words.
    """
    english, foreign, others = _evidence(text)
    return bool(_EAST_ASIAN.search(text)) or not (english or foreign or others) or english >= max(foreign, 1)


def is_foreign(text: str) -> bool:
    """Tell whether a text is seen to be in another language than English; without a word that tells, it is not."""
    english, foreign, _ = _evidence(text)
    return foreign > english or is_chinese(text)


def is_chinese(text: str) -> bool:
    """Tell whether a text has Chinese characters, and no others that only Japanese has."""
    return bool(re.search("[\u4e00-\u9fff]", text)) and not re.search("[\u3040-\u30ff]", text)


@lru_cache(maxsize=1024)
def _evidence(text: str) -> tuple[int, int, int]:
    """Return how many words of a text are English, how many of another language, and how many may be of any."""
    found = _words(text)
    english = sum(word in _ENGLISH for word in found)
    foreign = sum(word in _FOREIGN or not word.isascii() for word in found)
    return english, foreign, len(found) - english - foreign


def _words(text: str) -> list[str]:
    """Return the words of a text; one letter, or capitals alone as in codes and units, tells no language."""
    found = re.findall(r"[^\W\d_]{2,}|[^\W\d_\x00-\x7f]", text)
    return [w.casefold() for w in found if not (w.isupper() and len(w) <= 4) and w.casefold() not in _SYMBOLS]


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_EAST_ASIAN = re.compile("[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]")
_SYMBOLS = _set(
    "kg kgs mg lb lbs oz km kms cm mm ft yd mi ml cl dl ha hr hrs min mins sec secs ms mph kph kmh kwh kcal kj wh gb mb"
    " tb kb mn bn usd eur gbp jpy inr cad aud nzd chf cny sek nok dkk pln brl mxn krw hkd sgd zar euro euros percent"
    " cent cents billion billions trillion million millions dollar dollars peso pesos yen plus minus"
)
"""What stands in amounts, whatever the language around them is."""
_ENGLISH = _set(
    "the of to are how much many what which who whose when where why with my if does did doing done it its we us"
    " our you your from this that these those there they them their he she hers him and but than then because"
    " while be being were has have having could should would will shall may might must please only more most less"
    " least fewer each every both either neither any none other another same such into onto among between through"
    " during before after above below until since about against around without within out off down again further"
    " twice here now today tomorrow yesterday soon later second third next one two three four five six seven eight"
    " nine eleven twelve hundred thousand quarter add adds added subtract multiply multiplied divided split splits"
    " share shared average count counts calculate work show gives given gave take takes took taken get gets got"
    " make makes made put buy buys bought sell sells sold pay paid spend spends spent cost costs owe owes save"
    " saves saved earn earns earned lend lends borrow borrows transfer wire move moved keep kept need needs want"
    " wants like think know say says said ask asks asked uses used using try starts started begin begins began end"
    " ends ended finish finished leave leaves left walk walks walked run runs ran drive drives drove driving flies"
    " flew travel travels travelled weigh weighs weighed measure measures eat eats ate drink drinks drank cook"
    " cooks bake bakes baked read reads write writes wrote play plays played pick picks picked collect collects"
    " collected carry carries holds held fill fills filled grow grows grew plants planted build builds built paint"
    " paints painted convert changes changed round rounded nearest raise raises lower reduced increase increases"
    " increased decrease sort order compare choose book schedule cancel update rename assign draw close turn wait"
    " call calls called meet meets people person woman men women child children boy girl friend friends family"
    " families guest guests student students teacher worker workers player players customer customers member"
    " members team teams group groups day days month months year years hour hours morning evening night money"
    " price prices bill bills tip tax taxes fee fees discount amount amounts interest loan payment payments"
    " account income salary wage coins coin dollars worth cheap dear number numbers times percent piece pieces"
    " pair pairs dozen box boxes bag bags bottle bottles cup cups glass glasses books pen pens pencil pencils trip"
    " way mile miles foot feet inch inches yard yards pound pounds ounce ounces gallon gallons length width height"
    " weight size speed area milk bread flour sugar rice cake cakes apple apples orange oranges egg eggs flower"
    " flowers tree trees house rooms floor wall garden field farm city town street school store shop office job"
    " big little short high low old new young good better worse slow early late blue green white black equal"
    " equally evenly altogether together remaining whole up too very just even still already yet never always"
    " often usually sometimes almost nearly exactly by pound reimburse charge invoice"
    " withdraw deposit cheapest square squared prime estimate approve expense expenses cap gross print copy copies unit"
    " units orders points salary mortgage goods"
)
_FOREIGN = _set(
    "der das die den dem und von für ist eine einen einer ein wie viel viele sind durch mit auf zu nicht bitte"
    " ich wir mal mir mich uns sie er aus bei nach um an am im oder aber noch nur mehr als wenn wird werden kostet"
    " kosten macht geteilt teile rechne nimm kaufe zahle bestelle runde halbiere verdopple addiere ziehe gib was"
    " ergibt überweise el los las del la lo por para una uno un es son cuánto cuántos cuanto cuantos cuesta"
    " cuestan entre le les al con sin más menos que qué cómo como está en su mi tu se no sí ya pero muy paga compra"
    " suma resta des et du de pour avec est sont combien par je ce cette ces il elle nous vous ils sur dans au aux ou"
    " mais plus moins fois sans quel quelle donne fait coûte coute chaque gli di della dei delle è sono quanto"
    " quanti quante tra fra per più meno come che non nel nella ogni fa os uma dos são quantos quantas cada dá à"
    " ao het een van voor met hoeveel zijn wat door aan op tel deel betaal niet meer ook naar bij och är för av"
    " hur mycket många att på og hvor meget til jeg det med dela lägg ile jest są dla oraz przez na się kaç ne bir"
    " ve için si cu pe din convierte duplica redondea quita envía reparte"
    " multiplica arrondis paie envoie ajoute multiplie partage somma converti moltiplica dividi dodaj podziel divise"
)
"""Words that hold sentences together in languages that write 1.250 for more than a thousand."""
