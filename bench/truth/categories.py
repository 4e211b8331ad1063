"""Which categories a careful person would admit for the texts of a source, by the definitions of the taxonomy.

Sources that no category fits are not judged: narrative prose (Moby Dick), jokes, neutral topics of generated texts.
"""

from __future__ import annotations

ADMISSIBLE: dict[str, frozenset[str]] = {
    source: frozenset(categories.split())
    for source, categories in {
        # of the real corpus
        "pydoc": "technical",
        "pycode": "technical",
        "pydocstrings": "technical",
        "awsdocs": "technical",
        "awsjson": "technical",
        "jsonschema": "technical",
        "cfnschema": "technical",
        "kubernetes": "technical",
        "debianhints": "technical",
        "openaidocs": "technical behavioral",
        "langchain": "behavioral technical",
        "agents": "behavioral conversational",
        "chat_en": "conversational",
        "chat_intl": "conversational linguistic",  # dialogue in other languages
        "plays": "conversational emotional",
        "austen": "emotional conversational",  # feelings and dialogue
        "poems": "linguistic emotional",  # verse about love
        "areopagitica": "reasoning domain_specific",  # an argument about politics
        "kjv": "domain_specific",  # religion
        "dhammapada": "domain_specific emotional",  # religion; verse about hatred and craving
        "sotu": "domain_specific",  # politics
        "usgov": "domain_specific",  # law
        "licences": "domain_specific",
        "icd10": "domain_specific factual",  # medicine; entries of a code list
        "wordnet": "factual",
        "elements": "factual",
        "devil": "factual linguistic",  # satirical definitions of words
        "jargon": "technical linguistic factual",  # definitions of programmers' slang
        "statsmodels": "technical factual",  # software documentation; descriptions of data sets
        "cron": "temporal",
        "scheduling": "temporal technical",
        # of the generated corpus
        "json_object": "technical",
        "code": "technical",
        "urls": "technical",
        "cron_lines": "temporal",
        "intervals": "temporal",
        "chat": "conversational",
        "cyrillic": "linguistic",  # other languages than the corpus'
        "arabic": "linguistic",
        "han": "linguistic",
        "thai": "linguistic",
        "medicine": "domain_specific",
        "law": "domain_specific",
        "finance": "domain_specific",
        "religion": "domain_specific",
        "feeling": "emotional",
    }.items()
}
