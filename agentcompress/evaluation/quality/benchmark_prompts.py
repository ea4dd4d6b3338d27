"""The prompts of LongBench v1 and InfiniteBench, around the context; what they are scored by; how long an answer is."""

from __future__ import annotations

_PASSAGES = (
    "Answer the question based on the given passages. Only give me the answer and do not output any other words."
)
_BRIEF = (
    "Answer the question as concisely as you can, using a single phrase or sentence if possible. If the question "
    'cannot be answered based on the information in the article, write "unanswerable". If the question is a yes/no '
    'question, answer "yes", "no", or "unanswerable". Do not provide any explanation.'
)
_MULTI_HOP = (
    f"{_PASSAGES}\n\nThe following are given passages.\n",
    f"\n\n{_PASSAGES}\n\nQuestion: {{input}}\nAnswer:",
    "qa_f1",
    32,
)
LONGBENCH: dict[str, tuple[str, str, str, int]] = {
    "narrativeqa": (
        "You are given a story, which can be either a novel or a movie script, and a question. Answer the question as "
        "concisely as you can, using a single phrase if possible. Do not provide any explanation.\n\nStory: ",
        "\n\nNow, answer the question based on the story as concisely as you can, using a single phrase if possible. "
        "Do not provide any explanation.\n\nQuestion: {input}\n\nAnswer:",
        "qa_f1",
        128,
    ),
    "qasper": (
        f"You are given a scientific article and a question. {_BRIEF}\n\nArticle: ",
        "\n\n "
        + _BRIEF.replace("the question as", "the question based on the above article as", 1)
        + "\n\nQuestion: {input}\n\nAnswer:",
        "qa_f1",
        128,
    ),
    "multifieldqa_en": (
        "Read the following text and answer briefly.\n\n",
        "\n\nNow, answer the following question based on the above text, only give me the answer and do not output any "
        "other words.\n\nQuestion: {input}\nAnswer:",
        "qa_f1",
        64,
    ),
    "hotpotqa": _MULTI_HOP,
    "2wikimqa": _MULTI_HOP,
    "musique": _MULTI_HOP,
    "gov_report": (
        "You are given a report by a government agency. Write a one-page summary of the report.\n\nReport:\n",
        "\n\nNow, write a one-page summary of the report.\n\nSummary:",
        "rouge_l",
        512,
    ),
    "qmsum": (
        "You are given a meeting transcript and a query containing a question or instruction. Answer the query in one "
        "or more sentences.\n\nTranscript:\n",
        "\n\nNow, answer the query based on the above meeting transcript in one or more sentences.\n\n"
        "Query: {input}\nAnswer:",
        "rouge_l",
        512,
    ),
    "multi_news": (
        "You are given several news passages. Write a one-page summary of all news. \n\nNews:\n",
        "\n\nNow, write a one-page summary of all the news.\n\nSummary:",
        "rouge_l",
        512,
    ),
    "trec": (
        "Please determine the type of the question below. Here are some examples of questions.\n\n",
        "\n{input}",
        "classification",
        64,
    ),
    "triviaqa": (
        "Answer the question based on the given passage. Only give me the answer and do not output any other words. "
        "The following are some examples.\n\n",
        "\n\n{input}",
        "qa_f1",
        32,
    ),
    "samsum": (
        "Summarize the dialogue into a few short sentences. The following are some examples.\n\n",
        "\n\n{input}",
        "rouge_l",
        128,
    ),
    "passage_count": (
        "There are some paragraphs below sourced from Wikipedia. Some of them may be duplicates. Please carefully read "
        "these paragraphs and determine how many unique paragraphs there are after removing duplicates. In other "
        "words, how many non-repeating paragraphs are there in total?\n\n",
        "\n\nPlease enter the final count of unique paragraphs after removing duplicates. The output format should "
        "only contain the number, such as 1, 2, 3, and so on.\n\nThe final answer is: ",
        "count",
        32,
    ),
    "passage_retrieval_en": (
        "Here are 30 paragraphs from Wikipedia, along with an abstract. Please determine which paragraph the abstract "
        "is from.\n\n",
        "\n\nThe following is an abstract.\n\n{input}\n\nPlease enter the number of the paragraph that the abstract is "
        'from. The answer format must be like "Paragraph 1", "Paragraph 2", etc.\n\nThe answer is: ',
        "retrieval",
        32,
    ),
    "lcc": ("Please complete the code given below. \n", "Next line of code:\n", "code_sim", 64),
    "repobench-p": ("Please complete the code given below. \n", "{input}Next line of code:\n", "code_sim", 64),
}
"""Task -> (before, behind, metric, answer tokens); `{input}` in what stands behind is the row's question."""

INFINITEBENCH: dict[str, tuple[str, str, str, int]] = {
    "passkey": (
        "There is an important info hidden inside a lot of irrelevant text. Find it and memorize it. I will quiz you "
        "about the important information.\n\n",
        "\n\n{input}\n\nThe pass key is",
        "string_match_part",
        6,
    ),
    "number_string": (
        "There is an important info hidden inside a lot of irrelevant text. Find it. I will quiz you about the "
        "important information there.\n\n",
        "\n\n{input}\n\nThe sequence of digits is",
        "string_match_part",
        12,
    ),
    "kv_retrieval": (
        "Extract the value corresponding to the specified key in the JSON object below.\n\n",
        "\n\n{input}",
        "string_match_part",
        50,
    ),
    "longbook_qa_eng": (
        "Read the book and answer the question. Be very concise in your answer.\n\n",
        "\n\nQuestion: {input}\nAnswer:",
        "qa_f1",
        40,
    ),
    "longbook_choice_eng": (
        "Read the book and answer the question.\n\n",
        "\n\nQuestion: {input}\n{options}\n\nThe letter of the correct answer is",
        "choice",
        40,
    ),
    "code_debug": (
        "Following is a Python code where exactly one of the functions/methods has a deliberate error that makes it "
        "crash.\n\n",
        "\n\nOptions:\n{options}\n\nThe correct option is:",
        "choice",
        16,
    ),
}
