"""A simulated fashion shop: what it sells, what its visitors look for, and what they click; the embedded default.

What it is. From a seed it makes a catalogue, queries and two windows of a search log, and writes them as the CSV files
that a real shop would export; and apart from them the true grades, which no real shop has. It has what makes ranking
in a shop hard: vendors and visitors use other words for the same thing (trainers and sneakers, dark blue and navy);
titles leave out attributes that the description has, are stuffed with keywords, and misspelt; descriptions speak of
other products ("pair it with red heels"); a few queries make most of the traffic, and those of the tail are new every
month; visitors type errors, and often mean more than they say (an office dress for summer is not of wool); and they
click what stands on top, on what is popular, and by accident.

What it is not. It is no model of any real shop, and a score on it says nothing about one: it shows that the whole
way works, and that a ranker can learn from clicks what matching of words cannot find. Its language is a few hundred
words and a few sentence patterns; its visitors are all alike, have no history, and do not compare what they see; their
taste is one fixed rule over attributes (`relevance.py`); prices do not change and stock does not run out. Sizes are
noise in text, since every product page offers a choice of them. The log is summed by day, as shops export it; it has
no sessions.

Every number in it was set by what is realistic, before any ranker was evaluated on it, and is not to be tuned by how
a ranker fares. `tfr_listbert/evaluation/shop_report.py` says how hard it is.
"""
