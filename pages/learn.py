"""Learn: lessons that ask for a prediction first, pictures to play with, all methods, and the words."""

from pages._classroom import frame
from pages._lesson_steps import choose_lesson, walk
from pages._workbench import begin

begin()
presenting = frame()
walk(choose_lesson(), presenting)
