"""Tables I-III from the evaluations' records, the selected mapper's metrics, and the page that explains them.

Every row says what produced it. The paper's figures stand in columns of their own, `paper_...`, which are
empty unless the preset is `paper`: other presets measure other data with other models.
"""
