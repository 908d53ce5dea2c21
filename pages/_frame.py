"""A chart of nothing, drawn first: the browser fetches what draws charts while the server still works out the first."""

from streamlit.delta_generator import DeltaGenerator


def bare_frame(place: DeltaGenerator, height: int) -> None:
    """Draw it, so many pixels high, where the first chart or nothing at all will take its place."""
    bare = {"visible": False}
    figure = {"data": [{"type": "scatter"}], "layout": {"height": height, "xaxis": bare, "yaxis": bare}}
    place.plotly_chart(figure, key="frame")
