"""Pictures, from score files, histories and arrays; one style, readable in print, safe for colour-blind readers.

What all pictures share can be imported from here; each kind of picture has a module of its own.
"""

from dynsal.figures.pictures import blend as blend
from dynsal.figures.pictures import colour_wheel as colour_wheel
from dynsal.figures.pictures import flow_colours as flow_colours
from dynsal.figures.style import STYLE as STYLE
from dynsal.figures.style import label as label
from dynsal.figures.style import save as save
