#!/usr/bin/python3
"""systemd understands each unit and finds fault with none, and none is exposed more than its bound."""
import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
UNITS = HERE.parent.parent / "systemd"
DROP_IN = HERE.parent.parent / "docs" / "examples" / "ringd-rdma.conf"
EXPOSURE_MAX = 1.5  # Of systemd-analyze security, from 0 to 10. Corosync's unit has 9.4.


def copy_units(build, folder):
    """The units, with the programs of the build folder in the place of the installed ones."""
    for path in sorted(UNITS.glob("*")):
        if path.suffix in (".socket", ".target", ".service"):
            shutil.copy(path, folder)
        elif path.name.endswith(".service.in"):
            text = path.read_text()
            program = re.search(r"^ExecStart=@sbin@/(\S+)", text, re.MULTILINE).group(1)
            if (build / "bin" / program).exists():
                (folder / path.stem).write_text(text.replace("@sbin@", str(build / "bin")))
    # A socket of a daemon that is not built yet has no service to start.
    for path in folder.glob("*.socket"):
        if not (folder / re.search(r"^Service=(\S+)", path.read_text(), re.MULTILINE).group(1)).exists():
            path.unlink()
    return sorted(folder.iterdir())


def complaints_about_drop_in(folder):
    """Of what a node with RDMA links adds to ringd's unit."""
    place = folder / "ringd.service.d" / DROP_IN.name
    place.parent.mkdir()
    # The limit that is only proposed is valid, too.
    place.write_text(DROP_IN.read_text().replace("#LimitMEMLOCK", "LimitMEMLOCK"))
    verified = analyze("verify", "--man=no", folder / "ringd.service")
    return [line for line in (verified.stdout + verified.stderr).splitlines() if DROP_IN.name in line]


def analyze(*arguments):
    return subprocess.run(["systemd-analyze", *map(str, arguments)], capture_output=True, text=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    build = parser.parse_args().build.resolve()
    if shutil.which("systemd-analyze") is None:
        print("SKIPPED: systemd-analyze is not installed")
        return 77
    wrong = []
    with tempfile.TemporaryDirectory() as name:
        units = copy_units(build, pathlib.Path(name))
        verified = analyze("verify", "--man=no", *units)
        ours = {path.name for path in units}
        # It loads units of this machine too, and complains of those.
        complaints = [line for line in (verified.stdout + verified.stderr).splitlines()
                      if any(unit in line for unit in ours)]
        wrong += complaints
        for path in units:
            text = path.read_text()
            if "\nUser=" not in text:
                continue
            table = json.loads(analyze("security", "--offline=yes", "--json=short", path).stdout)
            overall = analyze("security", "--offline=yes", "--no-pager", path).stdout
            exposure = float(re.search(r"exposure level for \S+: ([\d.]+)", overall).group(1))
            print(f"{path.name}: {exposure}")
            if exposure > EXPOSURE_MAX:
                wrong.append(f"{path.name}: exposure {exposure}, more than {EXPOSURE_MAX}")
                wrong += [f"    {row['exposure']} {row['name']}: {row['description']}" for row in table
                          if row["exposure"] and float(row["exposure"]) > 0]
        wrong += complaints_about_drop_in(pathlib.Path(name))
    print(*wrong, sep="\n")
    return 1 if wrong else 0


sys.exit(main())
