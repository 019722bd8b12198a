"""Simulates a fashion shop and says how hard it is to rank.

Usage: python pipelines/simulate_shop.py CONFIG.yaml [section.key=value ...]

Writes into `shop.output` what a real shop would export, `catalogue.csv.gz` and `search_log.csv.gz`; and for evaluation
only `true_grades.csv` and `report.json`.
"""

from tfr_listbert.evaluation.shop_report import simulate_shop
from tfr_listbert.script import run_script

if __name__ == "__main__":
    run_script(simulate_shop, __doc__)
