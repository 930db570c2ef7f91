"""What a Python program knows of its own frames."""


def python_frames(frame):
    """[function, file, line, called by the probe] of each frame, innermost first."""
    frames = []
    while frame is not None:
        code = frame.f_code
        frames.append([getattr(code, "co_qualname", code.co_name), code.co_filename, frame.f_lineno, code.co_name.startswith("c_")])
        frame = frame.f_back
    return frames
