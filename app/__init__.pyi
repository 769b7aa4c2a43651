from app.model import Encoded as Encoded
from app.model import Model as Model
from app.model import load as load

__version__: str
