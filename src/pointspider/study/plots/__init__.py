"""The workflow's figures: Tables I-III and loss curves as plots, renders and clouds as contact sheets.

Every `plot_*` and `*_sheet` returns a matplotlib Figure with the preset in its footnote; `style.save` writes
it as SVG or PNG, with the same bytes for the same figure.
"""
