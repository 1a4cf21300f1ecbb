"""A checked row of an input: what to ask, or what is wrong. Knows neither files nor layouts."""

from pydantic import BaseModel, ConfigDict

from edit_rrm_client.bulk.rows import ImageBytes


class RowProblem(BaseModel):
    """What is wrong with a row, so that the service is not asked."""

    model_config = ConfigDict(frozen=True)

    field: str
    code: str
    detail: str


class InputImage(BaseModel):
    """One source beyond the first: what results call its file, where that is, or its bytes."""

    model_config = ConfigDict(frozen=True)

    path: str | None = None
    file: str | None = None
    image: ImageBytes = None


class InputRow(BaseModel):
    """One candidate to score. `source`, `edited`: what results call the files; `…_file`: where they are."""

    model_config = ConfigDict(frozen=True)

    row: int
    key: str
    id: str
    candidate: int = 0
    model: str = ""
    category: str = ""
    instruction: str = ""
    source: str | None = None
    edited: str | None = None
    source_file: str | None = None
    edited_file: str | None = None
    source_image: ImageBytes = None
    edited_image: ImageBytes = None
    more_sources: tuple[InputImage, ...] = ()
    problem: RowProblem | None = None

    @property
    def sources(self) -> tuple[str | bytes, ...]:
        """Each source as the client takes it, in order."""
        first = InputImage(file=self.source_file, image=self.source_image)
        return tuple(
            source.image if source.image is not None else source.file or ""
            for source in (first, *self.more_sources)
        )
