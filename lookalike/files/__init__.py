"""How a file becomes pixels, and which files are images. Knows no torch: what it reads are NumPy arrays.

`reading` takes a file and says what was done; `names` which files are images; `refusal` why one is none; `colour`
what its numbers mean; one file for each format that Pillow alone does not read as it would be seen.
"""

from lookalike.files.names import SUFFIXES as SUFFIXES
from lookalike.files.names import check_regular as check_regular
from lookalike.files.names import is_image as is_image
from lookalike.files.names import walk as walk
from lookalike.files.reading import FORMATS as FORMATS
from lookalike.files.reading import Picture as Picture
from lookalike.files.reading import from_picture as from_picture
from lookalike.files.reading import load as load
from lookalike.files.reading import read as read
from lookalike.files.reading import read_picture as read_picture
from lookalike.files.refusal import MAX_PIXELS as MAX_PIXELS
from lookalike.files.refusal import UnreadableImage as UnreadableImage
