"""A node with programs of its own, so that one can be upgraded while it runs."""

import shutil
import subprocess


class OwnPrograms:
    """The node runs a copy of the programs, in which one can be replaced."""

    def __init__(self, cluster):
        self.folder = cluster.network.folder / "programs"
        self.folder.mkdir()
        for program in ("haloctl", *cluster.engine.daemons):
            subprocess.run(["strip", "-o", self.folder / program, cluster.build / "bin" / program], check=True)
        self._count = 0

    def replace(self, daemon):
        """Another build of the daemon, as a package's upgrade puts it there: a new file under the old name."""
        self._count += 1
        new = self.folder / f"{daemon}.new"
        shutil.copy(self.folder / daemon, new)
        mark = self.folder / "mark"
        mark.write_text(f"build {self._count}")
        subprocess.run(["objcopy", "--remove-section=.halo.build", "--add-section", f".halo.build={mark}", new], check=True)
        new.rename(self.folder / daemon)
