from training.config import Config as Config
from training.config import from_flags as from_flags
from training.errors import TrainingError as TrainingError
from training.library import fit as fit
