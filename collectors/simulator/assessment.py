"""The sample plant's assessment.yaml: prices, evidence, targets, as its energy manager keeps them.

The numbers are invented, like the plant; what is the law's stands in config/standards.
"""

from __future__ import annotations

from datetime import date, timedelta

_TEXT = """\
# What judging and pricing the figures needs, and no meter gives. The numbers are invented.

economy:
{economy}

carbon:
  fuels:
    - {{energy: raw_coal, fuel: bituminous_coal, effective_from: {since}, source: contract 7}}
  certificates:
    - {{id: GEC-{year}-1, kwh: 900000, period: "{year}", technology: wind, source: exchange}}
  purchases:
    - {{material: gypsum, supplier: Haida, period: "{year}", quantity: 40000, unit: t,
       tco2_per_unit: 0.012, source: invented footprint report}}

prices:
  - {{energy: raw_coal, from: {since}, unit: t, cny_per_unit: 860, source: contract 7}}
  - {{energy: diesel, from: {since}, unit: t, cny_per_unit: 7400, source: invoices}}
  - {{energy: water_fresh, from: {since}, unit: t, cny_per_unit: 3.2, source: waterworks}}

tariffs:
  - from: {since}
    source: invented tariff of a grid company
    prices: {{sharp: 1.02, peak: 0.85, flat: 0.58, valley: 0.29}}
    seasons:
      - months: [7, 8, 9]
        hours:
          sharp: ["11:00-12:00", "17:00-18:00"]
          peak: ["10:00-11:00", "15:00-17:00", "18:00-20:00"]
          flat: ["08:00-10:00", "12:00-15:00", "20:00-24:00"]
          valley: ["00:00-08:00"]
      - months: [1, 2, 3, 4, 5, 6, 10, 11, 12]
        hours: {{peak: ["08:00-12:00"], flat: ["12:00-22:00"], valley: ["22:00-08:00"]}}
    demand: {{cny_per_kw_month: 36, minutes: 15}}

baselines:
  - id: kiln-power
    node: kiln
    energy: electricity
    grain: day
    from: {since}
    to: {base_end}
    drivers: [clinker]

targets:
  - {{id: clinker, year: {year}, kind: unit_product, product: clinker, limit: 109, source: plan}}
  - {{id: plant, year: {year}, kind: energy, limit: 140000, source: budget of the year}}

quotas:
  - {{year: {year}, allowance_tce: 130000, basis: equivalent, source: notice 3}}

equipment:
  pump-1: {{name: 循环水泵 Circulating pump, node: utilities, model: IS200-150-400, count: 2,
           rated_kw: 90, in_use_since: 2016, obsolete: false}}
  motor-7: {{name: 皮带电机 Belt motor, node: raw_prep, model: Y280S-4, rated_kw: 75,
            in_use_since: 2003, obsolete: true, listed_in: "catalogue of motors, batch 2"}}

rubric:
  products: [clinker, cement]
  references:
    - {{item: G25-02, lead: 0.75, base: 0.95, unit: tCO2/t, source: invented sector report}}
    - {{item: G25-03, lead: 10, base: 1, unit: "%", source: invented sector report}}
  evidence:
    - {{item: G25-BR-a, met: true, document: statement 12, date: {since}, by: Lin}}
    - {{item: G25-BR-b, met: true, document: plan of the year, date: {since}, by: Lin}}
    - {{item: G25-BR-c, met: true, document: certificates, date: {since}, by: Lin}}
    - {{item: G25-12, points: 6, document: design report, date: {since}, by: assessor}}
    - {{item: G25-13, points: 8, document: footprint report, date: {since}, by: assessor}}
"""


def assessment_text(since: date) -> str:
    """The file of a plant that is metered from ``since`` on."""
    years = (since.year, since.year + 1)
    economy = "\n".join(
        f'  - {{period: "{year}", output_value_cny: 420000000, added_value_cny: 130000000, '
        f"source: B204-1}}"
        for year in years
    )
    return _TEXT.format(
        economy=economy,
        since=since.isoformat(),
        year=since.year,
        base_end=(since + timedelta(days=44)).isoformat(),  # with the kiln stop,
    )
