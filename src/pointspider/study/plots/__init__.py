"""The workflow's figures: Tables I-III and loss curves as plots, renders and clouds as contact sheets.

Every `plot_*` and `*_sheet` returns a matplotlib Figure that names its preset at the foot; `style.save`
writes it as PNG and SVG, the same bytes for the same figure.
"""
