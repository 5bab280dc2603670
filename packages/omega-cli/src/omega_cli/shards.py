"""`omega shards`: packs pictures into tar files that `omega train --dataset shards` reads."""

from pathlib import Path
from typing import Annotated

import typer

from omega_cli.account import Account
from omega_cli.failures import reason_of
from omega_cli.input_files import Input, find_files, input_argument
from omega_cli.messages import many
from omega_cli.options import Quiet, omega_train_for
from omega_cli.output_files import check_new_folder, local_output_option
from omega_cli.progress import Progress
from omega_core.errors import ImageError


def shards(
    inputs: Annotated[list[Input], input_argument("Pictures, folders of pictures, or URLs.")],
    output: Annotated[Path, local_output_option("A new or empty folder for the tar files.")],
    size: Annotated[
        int, typer.Option(min=1, metavar="MIB", help="Maximum size of a tar file with several pictures.")
    ] = 256,
    quiet: Quiet = False,
) -> None:
    """Pack pictures into tar files ("shards"), to train on millions of them with `omega train --dataset shards`."""
    from omega_core.file_io import whole_folder
    from omega_core.images.reading import check_header, is_picture_name

    with omega_train_for("making shards"):
        from omega_train.data.shard_writing import ShardWriter
    check_new_folder(output)
    account = Account()
    found = find_files(inputs, is_picture_name, account)
    if not found:
        account.close(quiet=quiet)
    with (
        whole_folder(output) as folder,
        ShardWriter(folder, size << 20) as writer,
        Progress(len(found), "picture", quiet=quiet) as progress,
    ):
        for file in found:
            try:
                if not is_picture_name(file.source):
                    raise ImageError("its name has no suffix of a picture, which pictures in shards need.")
                data = file.source.read_bytes()
                check_header(data)
            except (ImageError, OSError) as problem:
                account.fail(file.source, reason_of(problem))
            else:
                writer.add(file.relative, data)
                account.done.add(str(file.source))
            progress.advance()
        if not account.done:
            raise typer.Exit(2)
    account.close(quiet=quiet, where=f"{many(writer.shards, 'shard')} in {output}")
